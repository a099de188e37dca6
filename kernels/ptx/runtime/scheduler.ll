; of scheduler.c with SHA-256 c362e900d219e6365009bee898a930f666a6694c730872b07e46daa5af4df2c7
%struct.Access = type { i32, i32, i32, i32, i32, i32, i32, i32 }
%struct.Launch = type { ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr }
%struct.Stop = type { i32, i32, i32, i32, i32, i32, i32, i32 }

define i32 @ptx_check(ptr %0, i32 %1, i64 %2, i32 %3, i32 %4, i64 %5, i32 %6) local_unnamed_addr {
  %8 = and i32 %4, 3
  %9 = add i64 %2, -17592186044416
  %10 = zext i32 %1 to i64
  %11 = getelementptr inbounds i8, ptr %0, i64 92
  %12 = load i32, ptr %11, align 4
  %13 = zext i32 %12 to i64
  %14 = mul i64 %13, %10
  %15 = add nsw i32 %8, -1
  %16 = icmp ult i32 %15, 2
  br i1 %16, label %33, label %17

17:                                              
  %18 = getelementptr inbounds i8, ptr %0, i64 56
  %19 = load i64, ptr %18, align 8
  %20 = sub i64 %9, %19
  %21 = getelementptr inbounds i8, ptr %0, i64 88
  %22 = load i32, ptr %21, align 8
  %23 = zext i32 %22 to i64
  %24 = icmp ult i64 %20, %23
  br i1 %24, label %38, label %25

25:                                              
  %26 = icmp eq i32 %12, 0
  br i1 %26, label %33, label %27

27:                                              
  %28 = getelementptr inbounds i8, ptr %0, i64 64
  %29 = load i64, ptr %28, align 8
  %30 = add i64 %14, %29
  %31 = sub i64 %9, %30
  %32 = icmp ult i64 %31, %13
  br i1 %32, label %214, label %33

33:                                              
  switch i32 %8, label %225 [
    i32 1, label %34
    i32 2, label %214
  ]

34:                                              
  %35 = getelementptr inbounds i8, ptr %0, i64 88
  %36 = load i32, ptr %35, align 8
  %37 = zext i32 %36 to i64
  br label %38

38:                                              
  %39 = phi i64 [ %37, %34 ], [ %23, %17 ]
  %40 = phi i64 [ %2, %34 ], [ %20, %17 ]
  %41 = icmp ugt i64 %40, %39
  br i1 %41, label %256, label %42

42:                                              
  %43 = sub nsw i64 %39, %40
  %44 = zext i32 %3 to i64
  %45 = icmp ult i64 %43, %44
  br i1 %45, label %256, label %46

46:                                              
  %47 = trunc i64 %40 to i32
  %48 = urem i32 %47, %3
  %49 = icmp eq i32 %48, 0
  br i1 %49, label %50, label %256

50:                                              
  %51 = load ptr, ptr %0, align 8
  %52 = getelementptr inbounds i8, ptr %0, i64 56
  %53 = load i64, ptr %52, align 8
  %54 = getelementptr inbounds i8, ptr %51, i64 %53
  %55 = getelementptr inbounds i8, ptr %54, i64 %40
  %56 = getelementptr inbounds i8, ptr %0, i64 16
  %57 = load ptr, ptr %56, align 8
  %58 = getelementptr inbounds i8, ptr %57, i64 %53
  %59 = getelementptr inbounds i8, ptr %58, i64 %40
  %60 = and i32 %4, 4
  %61 = icmp eq i32 %60, 0
  br i1 %61, label %78, label %62

62:                                              
  %63 = and i32 %4, 16
  %64 = icmp ne i32 %63, 0
  %65 = icmp ult i32 %3, 9
  %66 = and i1 %65, %64
  br i1 %66, label %67, label %78

67:                                              
  %68 = phi i64 [ %75, %67 ], [ 0, %62 ]
  %69 = getelementptr inbounds i8, ptr %55, i64 %68
  %70 = load i8, ptr %69, align 1
  %71 = shl nsw i64 %68, 3
  %72 = lshr i64 %5, %71
  %73 = trunc i64 %72 to i8
  %74 = icmp ne i8 %70, %73
  %75 = add nsw i64 %68, 1
  %76 = icmp eq i64 %75, %44
  %77 = select i1 %74, i1 true, i1 %76
  br i1 %77, label %78, label %67

78:                                              
  %79 = phi i1 [ true, %50 ], [ true, %62 ], [ %74, %67 ]
  %80 = and i32 %4, 24
  %81 = icmp eq i32 %80, 8
  %82 = or i1 %61, %81
  %83 = getelementptr inbounds i8, ptr %0, i64 24
  %84 = getelementptr inbounds i8, ptr %0, i64 140
  %85 = getelementptr inbounds i8, ptr %0, i64 32
  %86 = shl nsw i64 %10, 7
  %87 = and i32 %1, 31
  %88 = zext i32 %87 to i64
  %89 = and i32 %4, 8
  %90 = icmp ne i32 %89, 0
  %91 = add i32 %1, 1
  %92 = shl i32 %89, 28
  %93 = or i32 %92, %91
  %94 = icmp eq i32 %89, 0
  br label %95

95:                                              
  %96 = phi i64 [ 0, %78 ], [ %212, %211 ]
  br i1 %82, label %97, label %102

97:                                              
  %98 = getelementptr inbounds i8, ptr %59, i64 %96
  %99 = load i8, ptr %98, align 1
  %100 = and i8 %99, 2
  %101 = icmp eq i8 %100, 0
  br i1 %101, label %256, label %102

102:                                             
  %103 = load ptr, ptr %83, align 8
  %104 = getelementptr inbounds %struct.Access, ptr %103, i64 %40
  %105 = getelementptr inbounds %struct.Access, ptr %104, i64 %96
  %106 = load i32, ptr %105, align 4
  %107 = load i32, ptr %84, align 4
  %108 = icmp eq i32 %106, %107
  br i1 %108, label %111, label %109

109:                                             
  store i32 %107, ptr %105, align 4
  %110 = getelementptr inbounds i8, ptr %105, i64 4
  tail call void @llvm.memset.p0.i64(ptr align 4 dereferenceable(28) %110, i8 0, i64 28, i1 false)
  br label %111

111:                                             
  %112 = load ptr, ptr %85, align 8
  %113 = getelementptr inbounds i8, ptr %112, i64 %86
  %114 = getelementptr inbounds i32, ptr %113, i64 %88
  %115 = load i32, ptr %114, align 4
  br i1 %79, label %116, label %138

116:                                             
  %117 = getelementptr inbounds i8, ptr %105, i64 4
  %118 = load i32, ptr %117, align 4
  %119 = getelementptr inbounds i8, ptr %105, i64 8
  %120 = load i32, ptr %119, align 4
  %121 = icmp eq i32 %118, 0
  %122 = icmp slt i32 %118, 0
  %123 = and i1 %90, %122
  %124 = or i1 %121, %123
  br i1 %124, label %138, label %125

125:                                             
  %126 = and i32 %118, 2147483647
  %127 = add nsw i32 %126, -1
  %128 = icmp eq i32 %127, %1
  br i1 %128, label %138, label %129

129:                                             
  %130 = xor i32 %127, %1
  %131 = icmp ult i32 %130, 32
  br i1 %131, label %132, label %200

132:                                             
  %133 = and i32 %127, 31
  %134 = zext i32 %133 to i64
  %135 = getelementptr inbounds i32, ptr %113, i64 %134
  %136 = load i32, ptr %135, align 4
  %137 = icmp ugt i32 %120, %136
  br i1 %137, label %200, label %138

138:                                             
  %139 = getelementptr inbounds i8, ptr %105, i64 12
  %140 = load i32, ptr %139, align 4
  br i1 %61, label %141, label %153

141:                                             
  %142 = icmp eq i32 %140, 0
  %143 = and i32 %140, 2147483647
  %144 = icmp eq i32 %143, %91
  %145 = or i1 %142, %144
  %146 = getelementptr inbounds i8, ptr %105, i64 20
  %147 = select i1 %145, ptr %139, ptr %146
  br i1 %94, label %151, label %148

148:                                             
  %149 = load i32, ptr %147, align 4
  %150 = icmp slt i32 %149, 1
  br i1 %150, label %151, label %211

151:                                             
  store i32 %93, ptr %147, align 4
  %152 = select i1 %145, i64 16, i64 24
  br label %197

153:                                             
  %154 = getelementptr inbounds i8, ptr %105, i64 16
  %155 = load i32, ptr %154, align 4
  %156 = icmp eq i32 %140, 0
  %157 = icmp slt i32 %140, 0
  %158 = and i1 %90, %157
  %159 = or i1 %156, %158
  br i1 %159, label %173, label %160

160:                                             
  %161 = and i32 %140, 2147483647
  %162 = add nsw i32 %161, -1
  %163 = icmp eq i32 %162, %1
  br i1 %163, label %173, label %164

164:                                             
  %165 = xor i32 %162, %1
  %166 = icmp ult i32 %165, 32
  br i1 %166, label %167, label %200

167:                                             
  %168 = and i32 %162, 31
  %169 = zext i32 %168 to i64
  %170 = getelementptr inbounds i32, ptr %113, i64 %169
  %171 = load i32, ptr %170, align 4
  %172 = icmp ugt i32 %155, %171
  br i1 %172, label %200, label %173

173:                                             
  %174 = getelementptr inbounds i8, ptr %105, i64 20
  %175 = load i32, ptr %174, align 4
  %176 = getelementptr inbounds i8, ptr %105, i64 24
  %177 = load i32, ptr %176, align 4
  %178 = icmp eq i32 %175, 0
  %179 = icmp slt i32 %175, 0
  %180 = and i1 %90, %179
  %181 = or i1 %178, %180
  br i1 %181, label %195, label %182

182:                                             
  %183 = and i32 %175, 2147483647
  %184 = add nsw i32 %183, -1
  %185 = icmp eq i32 %184, %1
  br i1 %185, label %195, label %186

186:                                             
  %187 = xor i32 %184, %1
  %188 = icmp ult i32 %187, 32
  br i1 %188, label %189, label %200

189:                                             
  %190 = and i32 %184, 31
  %191 = zext i32 %190 to i64
  %192 = getelementptr inbounds i32, ptr %113, i64 %191
  %193 = load i32, ptr %192, align 4
  %194 = icmp ugt i32 %177, %193
  br i1 %194, label %200, label %195

195:                                             
  %196 = getelementptr inbounds i8, ptr %105, i64 4
  store i32 %93, ptr %196, align 4
  br label %197

197:                                             
  %198 = phi i64 [ %152, %151 ], [ 8, %195 ]
  %199 = getelementptr inbounds i8, ptr %105, i64 %198
  store i32 %115, ptr %199, align 4
  br label %203

200:                                             
  %201 = phi i32 [ %126, %132 ], [ %161, %167 ], [ %183, %186 ], [ %183, %189 ], [ %161, %164 ], [ %126, %129 ]
  %202 = icmp eq i32 %201, 0
  br i1 %202, label %203, label %208

203:                                             
  br i1 %61, label %211, label %204

204:                                             
  %205 = getelementptr inbounds i8, ptr %59, i64 %96
  %206 = load i8, ptr %205, align 1
  %207 = or i8 %206, 2
  store i8 %207, ptr %205, align 1
  br label %211

208:                                             
  %209 = add nsw i32 %201, -1
  %210 = getelementptr inbounds i8, ptr %0, i64 148
  store i32 %209, ptr %210, align 4
  br label %256

211:                                             
  %212 = add nsw i64 %96, 1
  %213 = icmp eq i64 %212, %44
  br i1 %213, label %272, label %95

214:                                             
  %215 = phi i64 [ %2, %33 ], [ %31, %27 ]
  %216 = icmp ugt i64 %215, %13
  %217 = sub nsw i64 %13, %215
  %218 = zext i32 %3 to i64
  %219 = icmp ult i64 %217, %218
  %220 = select i1 %216, i1 true, i1 %219
  br i1 %220, label %256, label %221

221:                                             
  %222 = trunc i64 %215 to i32
  %223 = urem i32 %222, %3
  %224 = icmp eq i32 %223, 0
  br i1 %224, label %272, label %256

225:                                             
  %226 = getelementptr inbounds i8, ptr %0, i64 40
  %227 = load i64, ptr %226, align 8
  %228 = icmp ugt i64 %9, %227
  br i1 %228, label %256, label %229

229:                                             
  %230 = sub i64 %227, %9
  %231 = zext i32 %3 to i64
  %232 = icmp ult i64 %230, %231
  br i1 %232, label %256, label %233

233:                                             
  %234 = urem i64 %9, %231
  %235 = icmp eq i64 %234, 0
  br i1 %235, label %236, label %256

236:                                             
  %237 = and i32 %4, 4
  %238 = icmp eq i32 %3, 0
  br i1 %238, label %272, label %239

239:                                             
  %240 = getelementptr inbounds i8, ptr %0, i64 16
  %241 = load ptr, ptr %240, align 8
  %242 = getelementptr i8, ptr %241, i64 %9
  br label %246

243:                                             
  %244 = add nsw i64 %247, 1
  %245 = icmp eq i64 %244, %231
  br i1 %245, label %272, label %246

246:                                             
  %247 = phi i64 [ 0, %239 ], [ %244, %243 ]
  %248 = getelementptr i8, ptr %242, i64 %247
  %249 = load i8, ptr %248, align 1
  %250 = zext i8 %249 to i32
  %251 = and i32 %250, 1
  %252 = icmp eq i32 %251, 0
  br i1 %252, label %256, label %253

253:                                             
  %254 = and i32 %237, %250
  %255 = icmp eq i32 %254, 0
  br i1 %255, label %243, label %256

256:                                             
  %257 = phi i64 [ %215, %214 ], [ %215, %221 ], [ %2, %233 ], [ %2, %229 ], [ %2, %225 ], [ %40, %208 ], [ %2, %246 ], [ %40, %46 ], [ %40, %42 ], [ %40, %38 ], [ %2, %253 ], [ %40, %97 ]
  %258 = phi i32 [ 2, %214 ], [ 2, %221 ], [ %8, %233 ], [ %8, %229 ], [ %8, %225 ], [ 1, %208 ], [ %8, %246 ], [ 1, %46 ], [ 1, %42 ], [ 1, %38 ], [ %8, %253 ], [ 1, %97 ]
  %259 = phi i32 [ 4, %214 ], [ 5, %221 ], [ 5, %233 ], [ 4, %229 ], [ 4, %225 ], [ 7, %208 ], [ 4, %246 ], [ 5, %46 ], [ 4, %42 ], [ 4, %38 ], [ 10, %253 ], [ 6, %97 ]
  %260 = getelementptr inbounds i8, ptr %0, i64 132
  %261 = load i32, ptr %260, align 4
  %262 = icmp eq i32 %261, 0
  br i1 %262, label %263, label %272

263:                                             
  %264 = getelementptr inbounds i8, ptr %0, i64 168
  store i64 %257, ptr %264, align 8
  %265 = getelementptr inbounds i8, ptr %0, i64 156
  store i32 %3, ptr %265, align 4
  %266 = getelementptr inbounds i8, ptr %0, i64 160
  store i32 %258, ptr %266, align 8
  %267 = lshr i32 %4, 2
  %268 = and i32 %267, 1
  %269 = getelementptr inbounds i8, ptr %0, i64 164
  store i32 %268, ptr %269, align 4
  store i32 %259, ptr %260, align 4
  %270 = getelementptr inbounds i8, ptr %0, i64 144
  store i32 %1, ptr %270, align 8
  %271 = getelementptr inbounds i8, ptr %0, i64 152
  store i32 %6, ptr %271, align 8
  br label %272

272:                                             
  %273 = phi i32 [ 1, %263 ], [ 0, %221 ], [ 0, %236 ], [ 0, %243 ], [ 1, %256 ], [ 0, %211 ]
  ret i32 %273
}

define i32 @ptx_same_32(ptr %0, i32 %1, i32 %2) local_unnamed_addr {
  %4 = icmp ult i32 %1, %2
  br i1 %4, label %5, label %13

5:                                               
  %6 = zext i32 %1 to i64
  %7 = getelementptr inbounds i32, ptr %0, i64 %6
  %8 = load i32, ptr %7, align 4
  %9 = zext i32 %2 to i64
  br label %15

10:                                              
  %11 = icmp eq i32 %21, 0
  %12 = zext i1 %11 to i32
  br label %13

13:                                              
  %14 = phi i32 [ 1, %3 ], [ %12, %10 ]
  ret i32 %14

15:                                              
  %16 = phi i64 [ %6, %5 ], [ %22, %15 ]
  %17 = phi i32 [ 0, %5 ], [ %21, %15 ]
  %18 = getelementptr inbounds i32, ptr %0, i64 %16
  %19 = load i32, ptr %18, align 4
  %20 = xor i32 %8, %19
  %21 = or i32 %20, %17
  %22 = add nsw i64 %16, 1
  %23 = icmp eq i64 %22, %9
  br i1 %23, label %10, label %15
}

define i32 @ptx_same_64(ptr %0, i32 %1, i32 %2) local_unnamed_addr {
  %4 = icmp ult i32 %1, %2
  br i1 %4, label %5, label %13

5:                                               
  %6 = zext i32 %1 to i64
  %7 = getelementptr inbounds i64, ptr %0, i64 %6
  %8 = load i64, ptr %7, align 8
  %9 = zext i32 %2 to i64
  br label %15

10:                                              
  %11 = icmp eq i64 %21, 0
  %12 = zext i1 %11 to i32
  br label %13

13:                                              
  %14 = phi i32 [ 1, %3 ], [ %12, %10 ]
  ret i32 %14

15:                                              
  %16 = phi i64 [ %6, %5 ], [ %22, %15 ]
  %17 = phi i64 [ 0, %5 ], [ %21, %15 ]
  %18 = getelementptr inbounds i64, ptr %0, i64 %16
  %19 = load i64, ptr %18, align 8
  %20 = xor i64 %8, %19
  %21 = or i64 %20, %17
  %22 = add nsw i64 %16, 1
  %23 = icmp eq i64 %22, %9
  br i1 %23, label %10, label %15
}

define i32 @ptx_run_grid(ptr %0, ptr %1, ptr %2) local_unnamed_addr {
  %4 = alloca %struct.Launch, align 8
  %5 = getelementptr inbounds i8, ptr %0, i64 8
  %6 = load ptr, ptr %5, align 8
  store ptr %0, ptr %4, align 8
  %7 = getelementptr inbounds i8, ptr %4, i64 8
  store ptr %1, ptr %7, align 8
  %8 = getelementptr inbounds i8, ptr %4, i64 16
  store ptr %2, ptr %8, align 8
  %9 = getelementptr inbounds i8, ptr %4, i64 24
  store ptr %6, ptr %9, align 8
  %10 = getelementptr inbounds i8, ptr %4, i64 32
  %11 = getelementptr inbounds i8, ptr %6, i64 4160
  store ptr %11, ptr %10, align 8
  %12 = getelementptr inbounds i8, ptr %4, i64 40
  %13 = getelementptr inbounds i8, ptr %6, i64 8320
  store ptr %13, ptr %12, align 8
  %14 = getelementptr inbounds i8, ptr %4, i64 48
  %15 = getelementptr inbounds i8, ptr %6, i64 12480
  store ptr %15, ptr %14, align 8
  %16 = getelementptr inbounds i8, ptr %4, i64 56
  %17 = getelementptr inbounds i8, ptr %6, i64 16640
  store ptr %17, ptr %16, align 8
  %18 = getelementptr inbounds i8, ptr %4, i64 64
  %19 = getelementptr inbounds i8, ptr %6, i64 20800
  store ptr %19, ptr %18, align 8
  %20 = getelementptr inbounds i8, ptr %4, i64 72
  %21 = getelementptr inbounds i8, ptr %6, i64 24960
  store ptr %21, ptr %20, align 8
  %22 = getelementptr inbounds i8, ptr %4, i64 80
  %23 = getelementptr inbounds i8, ptr %6, i64 29120
  store ptr %23, ptr %22, align 8
  %24 = getelementptr inbounds i8, ptr %0, i64 120
  %25 = getelementptr inbounds i8, ptr %0, i64 128
  %26 = load i32, ptr %25, align 8
  %27 = icmp eq i32 %26, 0
  br i1 %27, label %623, label %28

28:                                              
  %29 = getelementptr inbounds i8, ptr %0, i64 124
  %30 = getelementptr inbounds i8, ptr %0, i64 108
  %31 = getelementptr inbounds i8, ptr %0, i64 112
  %32 = getelementptr inbounds i8, ptr %0, i64 116
  %33 = getelementptr inbounds i8, ptr %0, i64 136
  %34 = getelementptr inbounds i8, ptr %0, i64 140
  %35 = getelementptr inbounds i8, ptr %0, i64 88
  %36 = getelementptr inbounds i8, ptr %0, i64 16
  %37 = getelementptr inbounds i8, ptr %0, i64 56
  %38 = getelementptr inbounds i8, ptr %0, i64 80
  %39 = getelementptr inbounds i8, ptr %0, i64 32
  %40 = getelementptr inbounds i8, ptr %2, i64 4
  %41 = getelementptr inbounds i8, ptr %0, i64 72
  %42 = getelementptr inbounds i8, ptr %0, i64 132
  %43 = getelementptr inbounds i8, ptr %0, i64 144
  %44 = getelementptr inbounds i8, ptr %0, i64 152
  %45 = load i32, ptr %29, align 4
  br label %46

46:                                              
  %47 = phi i32 [ %26, %28 ], [ %618, %617 ]
  %48 = phi i32 [ %45, %28 ], [ %619, %617 ]
  %49 = phi i32 [ %45, %28 ], [ %620, %617 ]
  %50 = phi i32 [ 0, %28 ], [ %621, %617 ]
  %51 = icmp eq i32 %49, 0
  br i1 %51, label %617, label %52

52:                                              
  %53 = load i32, ptr %24, align 8
  br label %54

54:                                              
  %55 = phi i32 [ %611, %610 ], [ %48, %52 ]
  %56 = phi i32 [ %612, %610 ], [ %53, %52 ]
  %57 = phi i32 [ %613, %610 ], [ 0, %52 ]
  %58 = icmp eq i32 %56, 0
  br i1 %58, label %610, label %63

59:                                              
  %60 = add i32 %64, 1
  %61 = load i32, ptr %24, align 8
  %62 = icmp ult i32 %60, %61
  br i1 %62, label %63, label %608

63:                                              
  %64 = phi i32 [ %60, %59 ], [ 0, %54 ]
  store i32 %64, ptr %30, align 4
  store i32 %57, ptr %31, align 4
  store i32 %50, ptr %32, align 4
  %65 = load i32, ptr %33, align 8
  %66 = icmp eq i32 %65, 0
  br i1 %66, label %67, label %69

67:                                              
  %68 = load i32, ptr %38, align 8
  br label %113

69:                                              
  %70 = load i32, ptr %34, align 4
  %71 = add i32 %70, 1
  store i32 %71, ptr %34, align 4
  %72 = load i32, ptr %35, align 8
  %73 = icmp eq i32 %72, 0
  br i1 %73, label %74, label %78

74:                                              
  %75 = load i32, ptr %38, align 8
  %76 = and i32 %75, 134217727
  %77 = icmp eq i32 %76, 0
  br i1 %77, label %90, label %93

78:                                              
  %79 = phi i64 [ %86, %78 ], [ 0, %69 ]
  %80 = load ptr, ptr %36, align 8
  %81 = load i64, ptr %37, align 8
  %82 = getelementptr i8, ptr %80, i64 %81
  %83 = getelementptr i8, ptr %82, i64 %79
  %84 = load i8, ptr %83, align 1
  %85 = and i8 %84, -3
  store i8 %85, ptr %83, align 1
  %86 = add nsw i64 %79, 1
  %87 = load i32, ptr %35, align 8
  %88 = zext i32 %87 to i64
  %89 = icmp ult i64 %86, %88
  br i1 %89, label %78, label %74

90:                                              
  %91 = phi i32 [ %75, %74 ], [ %98, %93 ]
  %92 = icmp eq i32 %91, 0
  br i1 %92, label %113, label %102

93:                                              
  %94 = phi i64 [ %97, %93 ], [ 0, %74 ]
  %95 = load ptr, ptr %39, align 8
  %96 = getelementptr inbounds i32, ptr %95, i64 %94
  store i32 0, ptr %96, align 4
  %97 = add nsw i64 %94, 1
  %98 = load i32, ptr %38, align 8
  %99 = shl i32 %98, 5
  %100 = zext i32 %99 to i64
  %101 = icmp ult i64 %97, %100
  br i1 %101, label %93, label %90

102:                                             
  %103 = phi i64 [ %109, %102 ], [ 0, %90 ]
  %104 = load ptr, ptr %39, align 8
  %105 = shl nsw i64 %103, 7
  %106 = getelementptr inbounds i8, ptr %104, i64 %105
  %107 = and i64 %103, 31
  %108 = getelementptr inbounds i32, ptr %106, i64 %107
  store i32 1, ptr %108, align 4
  %109 = add nsw i64 %103, 1
  %110 = load i32, ptr %38, align 8
  %111 = zext i32 %110 to i64
  %112 = icmp ult i64 %109, %111
  br i1 %112, label %102, label %113

113:                                             
  %114 = phi i32 [ %68, %67 ], [ 0, %90 ], [ %110, %102 ]
  %115 = load i32, ptr %40, align 4
  %116 = zext i32 %115 to i64
  %117 = zext i32 %114 to i64
  %118 = mul nsw i64 %116, %117
  %119 = load i64, ptr %41, align 8
  %120 = sub nsw i64 %119, %118
  store i64 %120, ptr %41, align 8
  %121 = load ptr, ptr %1, align 8
  %122 = load ptr, ptr %5, align 8
  %123 = load ptr, ptr %0, align 8
  tail call void %121(ptr %0, ptr %122, ptr %123, i32 0, i32 %114)
  %124 = load i32, ptr %42, align 4
  %125 = icmp eq i32 %124, 0
  br i1 %125, label %126, label %623

126:                                             
  %127 = load i64, ptr %41, align 8
  %128 = icmp slt i64 %127, 0
  br i1 %128, label %129, label %130

129:                                             
  store i32 2, ptr %42, align 4
  br label %623

130:                                             
  %131 = load i32, ptr %38, align 8
  %132 = icmp eq i32 %131, 0
  br i1 %132, label %59, label %133

133:                                             
  %134 = zext i32 %131 to i64
  br label %142

135:                                             
  %136 = icmp eq i32 %148, %149
  %137 = icmp eq i32 %148, -1
  %138 = select i1 %137, i1 true, i1 %136
  %139 = select i1 %137, i32 0, i32 %131
  %140 = select i1 %137, i32 0, i32 %148
  %141 = select i1 %137, i64 0, i64 4294967297
  br i1 %138, label %189, label %158

142:                                             
  %143 = phi i64 [ 0, %133 ], [ %150, %142 ]
  %144 = phi i32 [ 0, %133 ], [ %149, %142 ]
  %145 = phi i32 [ -1, %133 ], [ %148, %142 ]
  %146 = getelementptr inbounds i32, ptr %6, i64 %143
  %147 = load i32, ptr %146, align 4
  %148 = tail call i32 @llvm.umin.i32(i32 %147, i32 %145)
  %149 = tail call i32 @llvm.umax.i32(i32 %147, i32 %144)
  %150 = add nsw i64 %143, 1
  %151 = icmp eq i64 %150, %134
  br i1 %151, label %135, label %142

152:                                             
  %153 = icmp eq i32 %166, %131
  %154 = icmp eq i32 %166, 0
  %155 = or i1 %153, %154
  br i1 %155, label %184, label %156

156:                                             
  %157 = zext i32 %166 to i64
  br label %174

158:                                             
  %159 = phi i64 [ %169, %158 ], [ 0, %135 ]
  %160 = phi i32 [ %168, %158 ], [ 0, %135 ]
  %161 = phi i32 [ %166, %158 ], [ 0, %135 ]
  %162 = getelementptr inbounds i32, ptr %6, i64 %159
  %163 = load i32, ptr %162, align 4
  %164 = icmp ne i32 %163, -1
  %165 = zext i1 %164 to i32
  %166 = add i32 %161, %165
  %167 = tail call i32 @llvm.umax.i32(i32 %163, i32 %160)
  %168 = select i1 %164, i32 %167, i32 %160
  %169 = add nsw i64 %159, 1
  %170 = icmp eq i64 %169, %134
  br i1 %170, label %152, label %158

171:                                             
  %172 = icmp eq i32 %181, 0
  %173 = select i1 %172, i64 4294967296, i64 0
  br label %184

174:                                             
  %175 = phi i64 [ 0, %156 ], [ %182, %174 ]
  %176 = phi i32 [ 0, %156 ], [ %181, %174 ]
  %177 = getelementptr inbounds i32, ptr %6, i64 %175
  %178 = load i32, ptr %177, align 4
  %179 = icmp eq i32 %178, -1
  %180 = zext i1 %179 to i32
  %181 = or i32 %176, %180
  %182 = add nsw i64 %175, 1
  %183 = icmp eq i64 %182, %157
  br i1 %183, label %171, label %174

184:                                             
  %185 = phi i64 [ 4294967296, %152 ], [ %173, %171 ]
  %186 = icmp eq i32 %148, %168
  %187 = zext i1 %186 to i64
  %188 = or i64 %185, %187
  br label %189

189:                                             
  %190 = phi i32 [ %166, %184 ], [ %139, %135 ]
  %191 = phi i32 [ %168, %184 ], [ %140, %135 ]
  %192 = phi i64 [ %188, %184 ], [ %141, %135 ]
  %193 = zext i32 %191 to i64
  %194 = icmp eq i32 %190, 0
  br i1 %194, label %59, label %195

195:                                             
  %196 = and i64 %192, 4294967295
  %197 = icmp eq i64 %196, 0
  br i1 %197, label %291, label %198

198:                                             
  %199 = getelementptr inbounds %struct.Stop, ptr %2, i64 %193
  %200 = load i32, ptr %199, align 4
  %201 = add i32 %200, -5
  %202 = icmp ult i32 %201, -4
  br i1 %202, label %289, label %203

203:                                             
  %204 = icmp eq i32 %200, 1
  br i1 %204, label %238, label %211

205:                                             
  %206 = icmp eq i32 %200, 2
  %207 = icmp eq i32 %200, 3
  %208 = select i1 %207, i32 %228, i32 %227
  %209 = select i1 %206, i32 %229, i32 %208
  %210 = and i32 %209, 1
  br label %232

211:                                             
  %212 = phi i64 [ %230, %226 ], [ 0, %203 ]
  %213 = phi i32 [ %229, %226 ], [ 1, %203 ]
  %214 = phi i32 [ %228, %226 ], [ 0, %203 ]
  %215 = phi i32 [ %227, %226 ], [ 0, %203 ]
  %216 = getelementptr inbounds i32, ptr %6, i64 %212
  %217 = load i32, ptr %216, align 4
  %218 = icmp eq i32 %217, -1
  br i1 %218, label %226, label %219

219:                                             
  %220 = getelementptr inbounds i32, ptr %11, i64 %212
  %221 = load i32, ptr %220, align 4
  %222 = and i32 %221, 1
  %223 = and i32 %222, %213
  %224 = or i32 %222, %214
  %225 = add i32 %222, %215
  br label %226

226:                                             
  %227 = phi i32 [ %225, %219 ], [ %215, %211 ]
  %228 = phi i32 [ %224, %219 ], [ %214, %211 ]
  %229 = phi i32 [ %223, %219 ], [ %213, %211 ]
  %230 = add nsw i64 %212, 1
  %231 = icmp eq i64 %230, %134
  br i1 %231, label %205, label %211

232:                                             
  %233 = phi i64 [ 0, %205 ], [ %236, %232 ]
  %234 = getelementptr inbounds i32, ptr %19, i64 %233
  store i32 %209, ptr %234, align 4
  %235 = getelementptr inbounds i32, ptr %21, i64 %233
  store i32 %210, ptr %235, align 4
  %236 = add nsw i64 %233, 1
  %237 = icmp eq i64 %236, %134
  br i1 %237, label %238, label %232

238:                                             
  %239 = load i32, ptr %33, align 8
  %240 = icmp eq i32 %239, 0
  br i1 %240, label %244, label %241

241:                                             
  %242 = load i32, ptr %34, align 4
  %243 = add i32 %242, 1
  store i32 %243, ptr %34, align 4
  br label %244

244:                                             
  %245 = icmp ult i64 %192, 4294967296
  %246 = getelementptr inbounds i8, ptr %199, i64 4
  br i1 %245, label %247, label %593

247:                                             
  %248 = getelementptr inbounds ptr, ptr %1, i64 %193
  br label %249

249:                                             
  %250 = phi i32 [ %267, %266 ], [ 0, %247 ]
  %251 = load i32, ptr %42, align 4
  %252 = icmp eq i32 %251, 0
  br i1 %252, label %253, label %623

253:                                             
  %254 = load i64, ptr %41, align 8
  %255 = icmp slt i64 %254, 0
  br i1 %255, label %256, label %257

256:                                             
  store i32 2, ptr %42, align 4
  br label %623

257:                                             
  %258 = zext i32 %250 to i64
  %259 = getelementptr inbounds i32, ptr %6, i64 %258
  %260 = load i32, ptr %259, align 4
  %261 = icmp eq i32 %260, %191
  %262 = add i32 %250, 1
  br i1 %261, label %263, label %266

263:                                             
  %264 = tail call i32 @llvm.umax.i32(i32 %131, i32 %262)
  %265 = add i32 %264, -1
  br label %269

266:                                             
  %267 = phi i32 [ %279, %278 ], [ %262, %257 ]
  %268 = icmp ult i32 %267, %131
  br i1 %268, label %249, label %605

269:                                             
  %270 = phi i32 [ %273, %272 ], [ %250, %263 ]
  %271 = icmp eq i32 %270, %265
  br i1 %271, label %278, label %272

272:                                             
  %273 = add i32 %270, 1
  %274 = zext i32 %273 to i64
  %275 = getelementptr inbounds i32, ptr %6, i64 %274
  %276 = load i32, ptr %275, align 4
  %277 = icmp eq i32 %276, %191
  br i1 %277, label %269, label %278

278:                                             
  %279 = phi i32 [ %264, %269 ], [ %273, %272 ]
  %280 = load i32, ptr %246, align 4
  %281 = zext i32 %280 to i64
  %282 = sub i32 %279, %250
  %283 = zext i32 %282 to i64
  %284 = mul nsw i64 %281, %283
  %285 = sub nsw i64 %254, %284
  store i64 %285, ptr %41, align 8
  %286 = load ptr, ptr %248, align 8
  %287 = load ptr, ptr %5, align 8
  %288 = load ptr, ptr %0, align 8
  tail call void %286(ptr %0, ptr %287, ptr %288, i32 %250, i32 %279)
  br label %266

289:                                             
  %290 = icmp ugt i64 %192, 4294967295
  br i1 %290, label %292, label %291

291:                                             
  br label %341

292:                                             
  %293 = icmp eq i32 %200, 24
  %294 = getelementptr inbounds i8, ptr %199, i64 12
  %295 = getelementptr inbounds i8, ptr %199, i64 24
  br label %296

296:                                             
  %297 = phi i32 [ 0, %292 ], [ %328, %327 ]
  %298 = zext i32 %297 to i64
  %299 = sub i32 %190, %297
  %300 = icmp ugt i32 %299, 31
  %301 = shl nsw i32 -1, %299
  br i1 %293, label %327, label %302

302:                                             
  %303 = load i32, ptr %294, align 4
  %304 = and i32 %303, 4
  %305 = icmp eq i32 %304, 0
  br i1 %305, label %306, label %312

306:                                             
  %307 = add i32 %297, 32
  %308 = tail call i32 @llvm.umin.i32(i32 %190, i32 %307)
  %309 = icmp ult i32 %297, %308
  br i1 %309, label %310, label %322

310:                                             
  %311 = zext i32 %308 to i64
  br label %314

312:                                             
  %313 = load i32, ptr %295, align 4
  br label %322

314:                                             
  %315 = phi i64 [ %298, %310 ], [ %320, %314 ]
  %316 = phi i32 [ -1, %310 ], [ %319, %314 ]
  %317 = getelementptr inbounds i32, ptr %17, i64 %315
  %318 = load i32, ptr %317, align 4
  %319 = and i32 %318, %316
  %320 = add nsw i64 %315, 1
  %321 = icmp ult i64 %320, %311
  br i1 %321, label %314, label %322

322:                                             
  %323 = phi i32 [ %313, %312 ], [ -1, %306 ], [ %319, %314 ]
  %324 = select i1 %300, i32 0, i32 %301
  %325 = or i32 %323, %324
  %326 = icmp eq i32 %325, -1
  br i1 %326, label %327, label %291

327:                                             
  %328 = add i32 %297, 32
  %329 = icmp ult i32 %328, %190
  br i1 %329, label %296, label %330

330:                                             
  %331 = phi i32 [ %337, %330 ], [ 0, %327 ]
  %332 = sub i32 %190, %331
  %333 = icmp ugt i32 %332, 31
  %334 = shl nsw i32 -1, %332
  %335 = xor i32 %334, -1
  %336 = select i1 %333, i32 -1, i32 %335
  call fastcc void @warp_operation(ptr %4, ptr %199, i32 %331, i32 %336)
  %337 = add i32 %331, 32
  %338 = icmp ult i32 %337, %190
  br i1 %338, label %330, label %339

339:                                             
  %340 = getelementptr inbounds i8, ptr %199, i64 4
  br label %593

341:                                             
  %342 = phi i64 [ %353, %352 ], [ 0, %291 ]
  %343 = getelementptr inbounds i32, ptr %6, i64 %342
  %344 = load i32, ptr %343, align 4
  %345 = icmp eq i32 %344, -1
  br i1 %345, label %352, label %346

346:                                             
  %347 = zext i32 %344 to i64
  %348 = getelementptr inbounds %struct.Stop, ptr %2, i64 %347
  %349 = load i32, ptr %348, align 4
  %350 = add i32 %349, -5
  %351 = icmp ult i32 %350, -4
  br i1 %351, label %397, label %352

352:                                             
  %353 = add nsw i64 %342, 1
  %354 = icmp eq i64 %353, %134
  br i1 %354, label %355, label %341

355:                                             
  %356 = load i32, ptr %33, align 8
  %357 = icmp eq i32 %356, 0
  br i1 %357, label %362, label %358

358:                                             
  %359 = getelementptr inbounds %struct.Stop, ptr %2, i64 %193
  %360 = getelementptr inbounds i8, ptr %359, i64 8
  %361 = load i32, ptr %360, align 4
  store i32 8, ptr %42, align 4
  store i32 0, ptr %43, align 8
  store i32 %361, ptr %44, align 8
  br label %623

362:                                             
  %363 = phi i64 [ %367, %362 ], [ 0, %355 ]
  %364 = getelementptr inbounds i32, ptr %6, i64 %363
  %365 = load i32, ptr %364, align 4
  %366 = getelementptr inbounds i32, ptr %23, i64 %363
  store i32 %365, ptr %366, align 4
  %367 = add nsw i64 %363, 1
  %368 = icmp eq i64 %367, %134
  br i1 %368, label %369, label %362

369:                                             
  %370 = phi i64 [ %395, %394 ], [ 0, %362 ]
  %371 = trunc i64 %370 to i32
  %372 = load i32, ptr %42, align 4
  %373 = icmp eq i32 %372, 0
  br i1 %373, label %374, label %623

374:                                             
  %375 = load i64, ptr %41, align 8
  %376 = icmp slt i64 %375, 0
  br i1 %376, label %377, label %378

377:                                             
  store i32 2, ptr %42, align 4
  br label %623

378:                                             
  %379 = getelementptr inbounds i32, ptr %23, i64 %370
  %380 = load i32, ptr %379, align 4
  %381 = icmp eq i32 %380, -1
  br i1 %381, label %394, label %382

382:                                             
  %383 = add i32 %371, 1
  %384 = zext i32 %380 to i64
  %385 = getelementptr inbounds %struct.Stop, ptr %2, i64 %384
  %386 = getelementptr inbounds i8, ptr %385, i64 4
  %387 = load i32, ptr %386, align 4
  %388 = zext i32 %387 to i64
  %389 = sub nsw i64 %375, %388
  store i64 %389, ptr %41, align 8
  %390 = getelementptr inbounds ptr, ptr %1, i64 %384
  %391 = load ptr, ptr %390, align 8
  %392 = load ptr, ptr %5, align 8
  %393 = load ptr, ptr %0, align 8
  tail call void %391(ptr %0, ptr %392, ptr %393, i32 %371, i32 %383)
  br label %394

394:                                             
  %395 = add nsw i64 %370, 1
  %396 = icmp eq i64 %395, %134
  br i1 %396, label %605, label %369

397:                                             
  %398 = phi i32 [ %578, %577 ], [ 0, %346 ]
  %399 = phi i32 [ %579, %577 ], [ 0, %346 ]
  %400 = phi i32 [ %581, %577 ], [ 1, %346 ]
  %401 = phi i32 [ %580, %577 ], [ 0, %346 ]
  %402 = phi i32 [ %403, %577 ], [ 0, %346 ]
  %403 = add i32 %402, 32
  %404 = tail call i32 @llvm.umin.i32(i32 %403, i32 %131)
  %405 = icmp eq i32 %399, 0
  br i1 %405, label %406, label %572

406:                                             
  %407 = icmp ult i32 %402, %404
  %408 = zext i32 %402 to i64
  %409 = zext i32 %404 to i64
  br label %410

410:                                             
  %411 = phi i32 [ %398, %406 ], [ 0, %569 ]
  %412 = phi i32 [ %401, %406 ], [ 1, %569 ]
  %413 = load i64, ptr %41, align 8
  %414 = icmp slt i64 %413, 0
  br i1 %414, label %415, label %416

415:                                             
  store i32 2, ptr %42, align 4
  br label %572

416:                                             
  br i1 %407, label %421, label %417

417:                                             
  %418 = phi i32 [ 0, %416 ], [ %441, %440 ]
  %419 = phi i32 [ 0, %416 ], [ %442, %440 ]
  %420 = icmp eq i32 %418, 0
  br label %445

421:                                             
  %422 = phi i64 [ %443, %440 ], [ %408, %416 ]
  %423 = phi i32 [ %442, %440 ], [ 0, %416 ]
  %424 = phi i32 [ %441, %440 ], [ 0, %416 ]
  %425 = getelementptr inbounds i32, ptr %6, i64 %422
  %426 = load i32, ptr %425, align 4
  %427 = icmp eq i32 %426, -1
  br i1 %427, label %440, label %428

428:                                             
  %429 = trunc i64 %422 to i32
  %430 = sub i32 %429, %402
  %431 = shl i32 1, %430
  %432 = or i32 %431, %423
  %433 = zext i32 %426 to i64
  %434 = getelementptr inbounds %struct.Stop, ptr %2, i64 %433
  %435 = load i32, ptr %434, align 4
  %436 = add i32 %435, -5
  %437 = icmp ult i32 %436, -4
  %438 = select i1 %437, i32 %431, i32 0
  %439 = or i32 %438, %424
  br label %440

440:                                             
  %441 = phi i32 [ %439, %428 ], [ %424, %421 ]
  %442 = phi i32 [ %432, %428 ], [ %423, %421 ]
  %443 = add nsw i64 %422, 1
  %444 = icmp eq i64 %443, %409
  br i1 %444, label %417, label %421

445:                                             
  %446 = phi i32 [ %496, %493 ], [ %418, %417 ]
  %447 = icmp eq i32 %446, 0
  br i1 %447, label %572, label %448

448:                                             
  %449 = tail call i32 @llvm.cttz.i32(i32 %446, i1 true)
  %450 = or i32 %449, %402
  %451 = zext i32 %450 to i64
  %452 = getelementptr inbounds i32, ptr %6, i64 %451
  %453 = load i32, ptr %452, align 4
  %454 = zext i32 %453 to i64
  %455 = getelementptr inbounds %struct.Stop, ptr %2, i64 %454
  %456 = load i32, ptr %455, align 4
  br i1 %420, label %457, label %461

457:                                             
  %458 = phi i32 [ 0, %448 ], [ %473, %461 ]
  %459 = phi i32 [ 0, %448 ], [ %479, %461 ]
  %460 = icmp eq i32 %456, 24
  br i1 %460, label %493, label %483

461:                                             
  %462 = phi i32 [ %481, %461 ], [ %418, %448 ]
  %463 = phi i32 [ %479, %461 ], [ 0, %448 ]
  %464 = phi i32 [ %473, %461 ], [ 0, %448 ]
  %465 = tail call i32 @llvm.cttz.i32(i32 %462, i1 true)
  %466 = or i32 %465, %402
  %467 = zext i32 %466 to i64
  %468 = getelementptr inbounds i32, ptr %6, i64 %467
  %469 = load i32, ptr %468, align 4
  %470 = icmp eq i32 %469, %453
  %471 = shl i32 1, %465
  %472 = select i1 %470, i32 %471, i32 0
  %473 = or i32 %472, %464
  %474 = zext i32 %469 to i64
  %475 = getelementptr inbounds %struct.Stop, ptr %2, i64 %474
  %476 = load i32, ptr %475, align 4
  %477 = icmp eq i32 %476, %456
  %478 = select i1 %477, i32 %471, i32 0
  %479 = or i32 %478, %463
  %480 = add i32 %462, -1
  %481 = and i32 %480, %462
  %482 = icmp eq i32 %481, 0
  br i1 %482, label %457, label %461

483:                                             
  %484 = getelementptr inbounds i8, ptr %455, i64 12
  %485 = load i32, ptr %484, align 4
  %486 = and i32 %485, 4
  %487 = icmp eq i32 %486, 0
  %488 = getelementptr inbounds i8, ptr %455, i64 24
  %489 = getelementptr inbounds i32, ptr %17, i64 %451
  %490 = select i1 %487, ptr %489, ptr %488
  %491 = load i32, ptr %490, align 4
  %492 = and i32 %491, %419
  br label %493

493:                                             
  %494 = phi i32 [ %492, %483 ], [ %458, %457 ]
  %495 = xor i32 %458, -1
  %496 = and i32 %446, %495
  %497 = and i32 %494, %459
  %498 = icmp ne i32 %497, %494
  %499 = icmp eq i32 %494, 0
  %500 = or i1 %499, %498
  br i1 %500, label %445, label %501

501:                                             
  call fastcc void @warp_operation(ptr %4, ptr %455, i32 %402, i32 %494)
  br i1 %407, label %502, label %509

502:                                             
  %503 = phi i64 [ %507, %502 ], [ %408, %501 ]
  %504 = getelementptr inbounds i32, ptr %6, i64 %503
  %505 = load i32, ptr %504, align 4
  %506 = getelementptr inbounds i32, ptr %23, i64 %503
  store i32 %505, ptr %506, align 4
  %507 = add nsw i64 %503, 1
  %508 = icmp eq i64 %507, %409
  br i1 %508, label %509, label %502

509:                                             
  br label %510

510:                                             
  %511 = phi i32 [ %567, %548 ], [ %494, %509 ]
  %512 = load i32, ptr %42, align 4
  %513 = icmp eq i32 %512, 0
  br i1 %513, label %514, label %582

514:                                             
  %515 = load i64, ptr %41, align 8
  %516 = icmp slt i64 %515, 0
  br i1 %516, label %517, label %518

517:                                             
  store i32 2, ptr %42, align 4
  br label %582

518:                                             
  %519 = tail call i32 @llvm.cttz.i32(i32 %511, i1 true)
  %520 = or i32 %519, %402
  %521 = add i32 %520, 1
  %522 = icmp ult i32 %521, %404
  %523 = zext i32 %520 to i64
  br i1 %522, label %524, label %548

524:                                             
  %525 = add i32 %519, %400
  %526 = zext i32 %525 to i64
  %527 = getelementptr inbounds i32, ptr %23, i64 %523
  br label %528

528:                                             
  %529 = phi i64 [ %526, %524 ], [ %546, %541 ]
  %530 = phi i32 [ %511, %524 ], [ %545, %541 ]
  %531 = trunc i64 %529 to i32
  %532 = sub i32 %531, %402
  %533 = shl i32 1, %532
  %534 = and i32 %533, %530
  %535 = icmp eq i32 %534, 0
  br i1 %535, label %548, label %536

536:                                             
  %537 = getelementptr inbounds i32, ptr %23, i64 %529
  %538 = load i32, ptr %537, align 4
  %539 = load i32, ptr %527, align 4
  %540 = icmp eq i32 %538, %539
  br i1 %540, label %541, label %548

541:                                             
  %542 = add i32 %532, -1
  %543 = shl i32 1, %542
  %544 = xor i32 %543, -1
  %545 = and i32 %530, %544
  %546 = add nsw i64 %529, 1
  %547 = icmp ult i64 %546, %409
  br i1 %547, label %528, label %548

548:                                             
  %549 = phi i32 [ %511, %518 ], [ %530, %536 ], [ %545, %541 ], [ %530, %528 ]
  %550 = phi i32 [ %521, %518 ], [ %531, %536 ], [ %404, %541 ], [ %531, %528 ]
  %551 = getelementptr inbounds i32, ptr %23, i64 %523
  %552 = load i32, ptr %551, align 4
  %553 = zext i32 %552 to i64
  %554 = getelementptr inbounds %struct.Stop, ptr %2, i64 %553
  %555 = getelementptr inbounds i8, ptr %554, i64 4
  %556 = load i32, ptr %555, align 4
  %557 = zext i32 %556 to i64
  %558 = sub i32 %550, %520
  %559 = zext i32 %558 to i64
  %560 = mul nsw i64 %557, %559
  %561 = sub nsw i64 %515, %560
  store i64 %561, ptr %41, align 8
  %562 = getelementptr inbounds ptr, ptr %1, i64 %553
  %563 = load ptr, ptr %562, align 8
  %564 = load ptr, ptr %5, align 8
  %565 = load ptr, ptr %0, align 8
  tail call void %563(ptr %0, ptr %564, ptr %565, i32 %520, i32 %550)
  %566 = add i32 %549, -1
  %567 = and i32 %566, %549
  %568 = icmp eq i32 %567, 0
  br i1 %568, label %569, label %510

569:                                             
  %570 = load i32, ptr %42, align 4
  %571 = icmp eq i32 %570, 0
  br i1 %571, label %410, label %582

572:                                             
  %573 = phi i32 [ %398, %397 ], [ 2, %415 ], [ %411, %445 ]
  %574 = phi i32 [ %399, %397 ], [ 2, %415 ], [ 0, %445 ]
  %575 = phi i32 [ %401, %397 ], [ %412, %415 ], [ %412, %445 ]
  %576 = icmp ult i32 %403, %131
  br i1 %576, label %577, label %585

577:                                             
  %578 = phi i32 [ %573, %572 ], [ %583, %582 ]
  %579 = phi i32 [ %574, %572 ], [ %583, %582 ]
  %580 = phi i32 [ %575, %572 ], [ 1, %582 ]
  %581 = add i32 %400, 32
  br label %397

582:                                             
  %583 = phi i32 [ %512, %510 ], [ 2, %517 ], [ %570, %569 ]
  %584 = icmp ult i32 %403, %131
  br i1 %584, label %577, label %605

585:                                             
  %586 = icmp eq i32 %575, 0
  %587 = icmp eq i32 %573, 0
  %588 = select i1 %586, i1 %587, i1 false
  br i1 %588, label %589, label %605

589:                                             
  %590 = getelementptr inbounds %struct.Stop, ptr %2, i64 %193
  %591 = getelementptr inbounds i8, ptr %590, i64 8
  %592 = load i32, ptr %591, align 4
  store i32 1, ptr %42, align 4
  store i32 0, ptr %43, align 8
  store i32 %592, ptr %44, align 8
  br label %623

593:                                             
  %594 = phi ptr [ %340, %339 ], [ %246, %244 ]
  %595 = load i32, ptr %594, align 4
  %596 = zext i32 %595 to i64
  %597 = zext i32 %190 to i64
  %598 = mul nsw i64 %596, %597
  %599 = load i64, ptr %41, align 8
  %600 = sub nsw i64 %599, %598
  store i64 %600, ptr %41, align 8
  %601 = getelementptr inbounds ptr, ptr %1, i64 %193
  %602 = load ptr, ptr %601, align 8
  %603 = load ptr, ptr %5, align 8
  %604 = load ptr, ptr %0, align 8
  tail call void %602(ptr %0, ptr %603, ptr %604, i32 0, i32 %190)
  br label %605

605:                                             
  %606 = load i32, ptr %42, align 4
  %607 = icmp eq i32 %606, 0
  br i1 %607, label %126, label %623

608:                                             
  %609 = load i32, ptr %29, align 4
  br label %610

610:                                             
  %611 = phi i32 [ %609, %608 ], [ %55, %54 ]
  %612 = phi i32 [ %61, %608 ], [ 0, %54 ]
  %613 = add i32 %57, 1
  %614 = icmp ult i32 %613, %611
  br i1 %614, label %54, label %615

615:                                             
  %616 = load i32, ptr %25, align 8
  br label %617

617:                                             
  %618 = phi i32 [ %616, %615 ], [ %47, %46 ]
  %619 = phi i32 [ %611, %615 ], [ %48, %46 ]
  %620 = phi i32 [ %611, %615 ], [ 0, %46 ]
  %621 = add i32 %50, 1
  %622 = icmp ult i32 %621, %618
  br i1 %622, label %46, label %623

623:                                             
  %624 = phi i32 [ 0, %3 ], [ %372, %369 ], [ 2, %129 ], [ %251, %249 ], [ %606, %605 ], [ 1, %589 ], [ 2, %377 ], [ 8, %358 ], [ 2, %256 ], [ %124, %113 ], [ 0, %617 ]
  ret i32 %624
}

declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

declare void @llvm.memcpy.p0.p0.i64(ptr noalias, ptr noalias, i64, i1)

define internal fastcc void @warp_operation(ptr %0, ptr %1, i32 %2, i32 %3) unnamed_addr {
  %5 = alloca [32 x i32], align 16
  %6 = load i32, ptr %1, align 4
  %7 = add i32 %6, -5
  %8 = icmp ult i32 %7, 4
  br i1 %8, label %9, label %68

9:                                               
  %10 = icmp eq i32 %3, -1
  br i1 %10, label %11, label %67

11:                                              
  %12 = getelementptr inbounds i8, ptr %1, i64 12
  %13 = load i32, ptr %12, align 4
  %14 = and i32 %13, 3
  %15 = icmp eq i32 %14, 3
  br i1 %15, label %16, label %67

16:                                              
  %17 = getelementptr inbounds i8, ptr %0, i64 32
  %18 = load ptr, ptr %17, align 8
  %19 = zext i32 %2 to i64
  %20 = getelementptr inbounds i32, ptr %18, i64 %19
  %21 = getelementptr inbounds i8, ptr %0, i64 64
  %22 = load ptr, ptr %21, align 8
  %23 = getelementptr inbounds i32, ptr %22, i64 %19
  %24 = getelementptr inbounds i8, ptr %0, i64 72
  %25 = load ptr, ptr %24, align 8
  %26 = getelementptr inbounds i32, ptr %25, i64 %19
  %27 = getelementptr inbounds i8, ptr %1, i64 16
  %28 = load i32, ptr %27, align 4
  %29 = and i32 %28, 31
  switch i32 %6, label %66 [
    i32 7, label %30
    i32 6, label %45
  ]

30:                                              
  %31 = getelementptr inbounds i8, ptr %1, i64 20
  %32 = load i32, ptr %31, align 4
  %33 = icmp eq i32 %32, 31
  br i1 %33, label %34, label %66

34:                                              
  %35 = phi i64 [ %43, %34 ], [ 0, %30 ]
  %36 = trunc nsw i64 %35 to i32
  %37 = xor i32 %29, %36
  %38 = zext i32 %37 to i64
  %39 = getelementptr inbounds i32, ptr %20, i64 %38
  %40 = load i32, ptr %39, align 4
  %41 = getelementptr inbounds i32, ptr %23, i64 %35
  store i32 %40, ptr %41, align 4
  %42 = getelementptr inbounds i32, ptr %26, i64 %35
  store i32 1, ptr %42, align 4
  %43 = add nsw i64 %35, 1
  %44 = icmp eq i64 %43, 32
  br i1 %44, label %274, label %34

45:                                              
  %46 = getelementptr inbounds i8, ptr %1, i64 20
  %47 = load i32, ptr %46, align 4
  %48 = icmp eq i32 %47, 31
  br i1 %48, label %49, label %66

49:                                              
  %50 = sub nsw i32 32, %29
  %51 = zext i32 %50 to i64
  br label %52

52:                                              
  %53 = phi i64 [ 0, %49 ], [ %64, %52 ]
  %54 = trunc i64 %53 to i32
  %55 = icmp ult i64 %53, %51
  %56 = zext i1 %55 to i32
  %57 = select i1 %55, i32 %29, i32 0
  %58 = add nsw i32 %57, %54
  %59 = zext i32 %58 to i64
  %60 = getelementptr inbounds i32, ptr %20, i64 %59
  %61 = load i32, ptr %60, align 4
  %62 = getelementptr inbounds i32, ptr %23, i64 %53
  store i32 %61, ptr %62, align 4
  %63 = getelementptr inbounds i32, ptr %26, i64 %53
  store i32 %56, ptr %63, align 4
  %64 = add nsw i64 %53, 1
  %65 = icmp eq i64 %64, 32
  br i1 %65, label %274, label %52

66:                                              
  tail call fastcc void @shuffle(ptr %0, ptr %1, i32 %2, i32 -1)
  br label %274

67:                                              
  tail call fastcc void @shuffle(ptr %0, ptr %1, i32 %2, i32 %3)
  br label %274

68:                                              
  %69 = and i32 %6, -2
  %70 = icmp eq i32 %69, 14
  br i1 %70, label %71, label %136

71:                                              
  %72 = getelementptr inbounds i8, ptr %0, i64 32
  %73 = load ptr, ptr %72, align 8
  %74 = tail call i32 @llvm.cttz.i32(i32 %3, i1 true)
  %75 = add i32 %74, %2
  %76 = zext i32 %75 to i64
  %77 = getelementptr inbounds i32, ptr %73, i64 %76
  %78 = load i32, ptr %77, align 4
  %79 = icmp eq i32 %3, 0
  br i1 %79, label %274, label %80

80:                                              
  %81 = getelementptr inbounds i8, ptr %0, i64 64
  br label %89

82:                                              
  %83 = load i32, ptr %1, align 4
  %84 = icmp eq i32 %83, 15
  br i1 %84, label %85, label %274

85:                                              
  %86 = icmp eq i32 %105, 0
  %87 = select i1 %86, i32 0, i32 %3
  %88 = getelementptr inbounds i8, ptr %0, i64 72
  br label %124

89:                                              
  %90 = phi ptr [ %73, %80 ], [ %101, %98 ]
  %91 = phi i32 [ 1, %80 ], [ %105, %98 ]
  %92 = phi i32 [ %3, %80 ], [ %107, %98 ]
  %93 = tail call i32 @llvm.cttz.i32(i32 %92, i1 true)
  %94 = add i32 %93, %2
  %95 = zext i32 %94 to i64
  %96 = getelementptr inbounds i32, ptr %90, i64 %95
  %97 = load i32, ptr %96, align 4
  br label %109

98:                                              
  %99 = load ptr, ptr %81, align 8
  %100 = getelementptr inbounds i32, ptr %99, i64 %95
  store i32 %120, ptr %100, align 4
  %101 = load ptr, ptr %72, align 8
  %102 = getelementptr inbounds i32, ptr %101, i64 %95
  %103 = load i32, ptr %102, align 4
  %104 = icmp eq i32 %103, %78
  %105 = select i1 %104, i32 %91, i32 0
  %106 = add i32 %92, -1
  %107 = and i32 %106, %92
  %108 = icmp eq i32 %107, 0
  br i1 %108, label %82, label %89

109:                                             
  %110 = phi i32 [ %3, %89 ], [ %122, %109 ]
  %111 = phi i32 [ 0, %89 ], [ %120, %109 ]
  %112 = tail call i32 @llvm.cttz.i32(i32 %110, i1 true)
  %113 = add i32 %112, %2
  %114 = zext i32 %113 to i64
  %115 = getelementptr inbounds i32, ptr %90, i64 %114
  %116 = load i32, ptr %115, align 4
  %117 = icmp eq i32 %116, %97
  %118 = shl i32 1, %112
  %119 = select i1 %117, i32 %118, i32 0
  %120 = or i32 %119, %111
  %121 = add i32 %110, -1
  %122 = and i32 %121, %110
  %123 = icmp eq i32 %122, 0
  br i1 %123, label %98, label %109

124:                                             
  %125 = phi i32 [ %3, %85 ], [ %134, %124 ]
  %126 = tail call i32 @llvm.cttz.i32(i32 %125, i1 true)
  %127 = add i32 %126, %2
  %128 = load ptr, ptr %81, align 8
  %129 = zext i32 %127 to i64
  %130 = getelementptr inbounds i32, ptr %128, i64 %129
  store i32 %87, ptr %130, align 4
  %131 = load ptr, ptr %88, align 8
  %132 = getelementptr inbounds i32, ptr %131, i64 %129
  store i32 %105, ptr %132, align 4
  %133 = add i32 %125, -1
  %134 = and i32 %133, %125
  %135 = icmp eq i32 %134, 0
  br i1 %135, label %274, label %124

136:                                             
  switch i32 %6, label %197 [
    i32 13, label %141
    i32 24, label %137
  ]

137:                                             
  %138 = icmp eq i32 %3, 0
  br i1 %138, label %274, label %139

139:                                             
  %140 = getelementptr inbounds i8, ptr %0, i64 64
  br label %187

141:                                             
  %142 = load ptr, ptr %0, align 8
  %143 = getelementptr inbounds i8, ptr %142, i64 136
  %144 = load i32, ptr %143, align 8
  %145 = icmp eq i32 %144, 0
  br i1 %145, label %274, label %146

146:                                             
  call void @llvm.memset.p0.i64(ptr align 16 dereferenceable(128) %5, i8 0, i64 128, i1 false)
  %147 = icmp eq i32 %3, 0
  br i1 %147, label %186, label %148

148:                                             
  %149 = getelementptr inbounds i8, ptr %142, i64 32
  %150 = load ptr, ptr %149, align 8
  br label %151

151:                                             
  %152 = phi i32 [ %3, %148 ], [ %160, %158 ]
  %153 = tail call i32 @llvm.cttz.i32(i32 %152, i1 true)
  %154 = add i32 %153, %2
  %155 = zext i32 %154 to i64
  %156 = shl nsw i64 %155, 7
  %157 = getelementptr inbounds i8, ptr %150, i64 %156
  br label %162

158:                                             
  %159 = add i32 %152, -1
  %160 = and i32 %159, %152
  %161 = icmp eq i32 %160, 0
  br i1 %161, label %171, label %151

162:                                             
  %163 = phi i64 [ 0, %151 ], [ %169, %162 ]
  %164 = getelementptr inbounds i32, ptr %157, i64 %163
  %165 = load i32, ptr %164, align 4
  %166 = getelementptr inbounds i32, ptr %5, i64 %163
  %167 = load i32, ptr %166, align 4
  %168 = tail call i32 @llvm.umax.i32(i32 %165, i32 %167)
  store i32 %168, ptr %166, align 4
  %169 = add nsw i64 %163, 1
  %170 = icmp eq i64 %169, 32
  br i1 %170, label %158, label %162

171:                                             
  %172 = phi i32 [ %184, %171 ], [ %3, %158 ]
  %173 = tail call i32 @llvm.cttz.i32(i32 %172, i1 true)
  %174 = add i32 %173, %2
  %175 = load ptr, ptr %149, align 8
  %176 = zext i32 %174 to i64
  %177 = shl nsw i64 %176, 7
  %178 = getelementptr inbounds i8, ptr %175, i64 %177
  call void @llvm.memcpy.p0.p0.i64(ptr align 4 dereferenceable(128) %178, ptr align 16 dereferenceable(128) %5, i64 128, i1 false)
  %179 = zext i32 %173 to i64
  %180 = getelementptr inbounds i32, ptr %178, i64 %179
  %181 = load i32, ptr %180, align 4
  %182 = add i32 %181, 1
  store i32 %182, ptr %180, align 4
  %183 = add i32 %172, -1
  %184 = and i32 %183, %172
  %185 = icmp eq i32 %184, 0
  br i1 %185, label %186, label %171

186:                                             
  br label %274

187:                                             
  %188 = phi i32 [ %3, %139 ], [ %195, %187 ]
  %189 = load ptr, ptr %140, align 8
  %190 = tail call i32 @llvm.cttz.i32(i32 %188, i1 true)
  %191 = add i32 %190, %2
  %192 = zext i32 %191 to i64
  %193 = getelementptr inbounds i32, ptr %189, i64 %192
  store i32 %3, ptr %193, align 4
  %194 = add i32 %188, -1
  %195 = and i32 %194, %188
  %196 = icmp eq i32 %195, 0
  br i1 %196, label %274, label %187

197:                                             
  %198 = getelementptr inbounds i8, ptr %0, i64 32
  %199 = load ptr, ptr %198, align 8
  %200 = tail call i32 @llvm.cttz.i32(i32 %3, i1 true)
  %201 = add i32 %200, %2
  %202 = zext i32 %201 to i64
  %203 = getelementptr inbounds i32, ptr %199, i64 %202
  %204 = load i32, ptr %203, align 4
  %205 = icmp eq i32 %3, 0
  br i1 %205, label %206, label %209

206:                                             
  %207 = phi i32 [ %204, %197 ], [ %240, %239 ]
  %208 = phi i32 [ 0, %197 ], [ %220, %239 ]
  switch i32 %6, label %255 [
    i32 12, label %256
    i32 9, label %244
    i32 10, label %247
    i32 11, label %250
  ]

209:                                             
  %210 = phi i32 [ %220, %239 ], [ 0, %197 ]
  %211 = phi i32 [ %240, %239 ], [ %204, %197 ]
  %212 = phi i32 [ %242, %239 ], [ %3, %197 ]
  %213 = tail call i32 @llvm.cttz.i32(i32 %212, i1 true)
  %214 = add i32 %213, %2
  %215 = zext i32 %214 to i64
  %216 = getelementptr inbounds i32, ptr %199, i64 %215
  %217 = load i32, ptr %216, align 4
  %218 = and i32 %217, 1
  %219 = shl i32 %218, %213
  %220 = or i32 %219, %210
  %221 = icmp eq i32 %212, %3
  br i1 %221, label %239, label %222

222:                                             
  switch i32 %6, label %239 [
    i32 16, label %223
    i32 17, label %225
    i32 18, label %227
    i32 19, label %229
    i32 20, label %231
    i32 21, label %233
    i32 22, label %235
    i32 23, label %237
  ]

223:                                             
  %224 = add i32 %217, %211
  br label %239

225:                                             
  %226 = and i32 %217, %211
  br label %239

227:                                             
  %228 = or i32 %217, %211
  br label %239

229:                                             
  %230 = xor i32 %217, %211
  br label %239

231:                                             
  %232 = tail call i32 @llvm.umin.i32(i32 %211, i32 %217)
  br label %239

233:                                             
  %234 = tail call i32 @llvm.umax.i32(i32 %211, i32 %217)
  br label %239

235:                                             
  %236 = tail call i32 @llvm.smin.i32(i32 %211, i32 %217)
  br label %239

237:                                             
  %238 = tail call i32 @llvm.smax.i32(i32 %211, i32 %217)
  br label %239

239:                                             
  %240 = phi i32 [ %211, %209 ], [ %238, %237 ], [ %224, %223 ], [ %226, %225 ], [ %228, %227 ], [ %230, %229 ], [ %232, %231 ], [ %234, %233 ], [ %236, %235 ], [ %217, %222 ]
  %241 = add i32 %212, -1
  %242 = and i32 %241, %212
  %243 = icmp eq i32 %242, 0
  br i1 %243, label %206, label %209

244:                                             
  %245 = icmp ne i32 %208, 0
  %246 = zext i1 %245 to i32
  br label %256

247:                                             
  %248 = icmp eq i32 %208, %3
  %249 = zext i1 %248 to i32
  br label %256

250:                                             
  %251 = icmp eq i32 %208, 0
  %252 = icmp eq i32 %208, %3
  %253 = or i1 %251, %252
  %254 = zext i1 %253 to i32
  br label %256

255:                                             
  br label %256

256:                                             
  %257 = phi i32 [ %207, %255 ], [ %246, %244 ], [ %249, %247 ], [ %254, %250 ], [ %208, %206 ]
  br i1 %205, label %274, label %258

258:                                             
  %259 = getelementptr inbounds i8, ptr %0, i64 64
  %260 = and i32 %257, 1
  %261 = getelementptr inbounds i8, ptr %0, i64 72
  br label %262

262:                                             
  %263 = phi i32 [ %3, %258 ], [ %272, %262 ]
  %264 = tail call i32 @llvm.cttz.i32(i32 %263, i1 true)
  %265 = add i32 %264, %2
  %266 = load ptr, ptr %259, align 8
  %267 = zext i32 %265 to i64
  %268 = getelementptr inbounds i32, ptr %266, i64 %267
  store i32 %257, ptr %268, align 4
  %269 = load ptr, ptr %261, align 8
  %270 = getelementptr inbounds i32, ptr %269, i64 %267
  store i32 %260, ptr %270, align 4
  %271 = add i32 %263, -1
  %272 = and i32 %271, %263
  %273 = icmp eq i32 %272, 0
  br i1 %273, label %274, label %262

274:                                             
  ret void
}

define internal fastcc void @shuffle(ptr %0, ptr %1, i32 %2, i32 %3) unnamed_addr {
  %5 = icmp eq i32 %3, 0
  br i1 %5, label %16, label %6

6:                                               
  %7 = getelementptr inbounds i8, ptr %1, i64 12
  %8 = getelementptr inbounds i8, ptr %1, i64 16
  %9 = getelementptr inbounds i8, ptr %0, i64 40
  %10 = getelementptr inbounds i8, ptr %1, i64 20
  %11 = getelementptr inbounds i8, ptr %0, i64 48
  %12 = getelementptr inbounds i8, ptr %1, i64 8
  %13 = getelementptr inbounds i8, ptr %0, i64 32
  %14 = getelementptr inbounds i8, ptr %0, i64 64
  %15 = getelementptr inbounds i8, ptr %0, i64 72
  br label %17

16:                                              
  ret void

17:                                              
  %18 = phi i32 [ %3, %6 ], [ %96, %84 ]
  %19 = tail call i32 @llvm.cttz.i32(i32 %18, i1 true)
  %20 = add i32 %19, %2
  %21 = load i32, ptr %7, align 4
  %22 = and i32 %21, 1
  %23 = icmp eq i32 %22, 0
  br i1 %23, label %24, label %28

24:                                              
  %25 = load ptr, ptr %9, align 8
  %26 = zext i32 %20 to i64
  %27 = getelementptr inbounds i32, ptr %25, i64 %26
  br label %28

28:                                              
  %29 = phi ptr [ %27, %24 ], [ %8, %17 ]
  %30 = load i32, ptr %29, align 4
  %31 = and i32 %21, 2
  %32 = icmp eq i32 %31, 0
  br i1 %32, label %33, label %37

33:                                              
  %34 = load ptr, ptr %11, align 8
  %35 = zext i32 %20 to i64
  %36 = getelementptr inbounds i32, ptr %34, i64 %35
  br label %37

37:                                              
  %38 = phi ptr [ %36, %33 ], [ %10, %28 ]
  %39 = load i32, ptr %38, align 4
  %40 = load i32, ptr %1, align 4
  %41 = lshr i32 %39, 8
  %42 = and i32 %39, 31
  %43 = and i32 %41, %19
  %44 = xor i32 %41, -1
  %45 = and i32 %42, %44
  %46 = or i32 %43, %45
  %47 = and i32 %30, 31
  switch i32 %40, label %55 [
    i32 5, label %48
    i32 6, label %51
    i32 7, label %53
  ]

48:                                              
  %49 = sub nsw i32 %19, %47
  %50 = icmp sge i32 %49, %46
  br label %61

51:                                              
  %52 = add nsw i32 %47, %19
  br label %58

53:                                              
  %54 = xor i32 %47, %19
  br label %58

55:                                              
  %56 = and i32 %47, %44
  %57 = or i32 %43, %56
  br label %58

58:                                              
  %59 = phi i32 [ %52, %51 ], [ %54, %53 ], [ %57, %55 ]
  %60 = icmp ule i32 %59, %46
  br label %61

61:                                              
  %62 = phi i1 [ %60, %58 ], [ %50, %48 ]
  %63 = phi i32 [ %59, %58 ], [ %49, %48 ]
  %64 = zext i1 %62 to i32
  %65 = select i1 %62, i32 %63, i32 %19
  %66 = shl i32 1, %65
  %67 = and i32 %66, %3
  %68 = icmp eq i32 %67, 0
  br i1 %68, label %71, label %69

69:                                              
  %70 = add i32 %65, %2
  br label %84

71:                                              
  %72 = load ptr, ptr %0, align 8
  %73 = getelementptr inbounds i8, ptr %72, i64 136
  %74 = load i32, ptr %73, align 8
  %75 = icmp eq i32 %74, 0
  br i1 %75, label %84, label %76

76:                                              
  %77 = getelementptr inbounds i8, ptr %72, i64 132
  %78 = load i32, ptr %77, align 4
  %79 = icmp eq i32 %78, 0
  br i1 %79, label %80, label %84

80:                                              
  %81 = load i32, ptr %12, align 4
  store i32 9, ptr %77, align 4
  %82 = getelementptr inbounds i8, ptr %72, i64 144
  store i32 %20, ptr %82, align 8
  %83 = getelementptr inbounds i8, ptr %72, i64 152
  store i32 %81, ptr %83, align 8
  br label %84

84:                                              
  %85 = phi i32 [ %70, %69 ], [ %20, %80 ], [ %20, %76 ], [ %20, %71 ]
  %86 = load ptr, ptr %13, align 8
  %87 = zext i32 %85 to i64
  %88 = getelementptr inbounds i32, ptr %86, i64 %87
  %89 = load i32, ptr %88, align 4
  %90 = load ptr, ptr %14, align 8
  %91 = zext i32 %20 to i64
  %92 = getelementptr inbounds i32, ptr %90, i64 %91
  store i32 %89, ptr %92, align 4
  %93 = load ptr, ptr %15, align 8
  %94 = getelementptr inbounds i32, ptr %93, i64 %91
  store i32 %64, ptr %94, align 4
  %95 = add i32 %18, -1
  %96 = and i32 %95, %18
  %97 = icmp eq i32 %96, 0
  br i1 %97, label %16, label %17
}

declare i32 @llvm.cttz.i32(i32, i1)

declare i32 @llvm.umin.i32(i32, i32)

declare i32 @llvm.smax.i32(i32, i32)

declare i32 @llvm.smin.i32(i32, i32)

declare i32 @llvm.umax.i32(i32, i32)
