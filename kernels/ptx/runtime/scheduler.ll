; of scheduler.c with SHA-256 4d800acfc4a7b6a6289bfbbf079bbb7add86b09c8704db35718059602bd25d52
%struct.Access = type { i32, i32, i32, i32, i32, i32, i32, i32 }
%struct.Launch = type { ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, i32 }
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
  %24 = getelementptr inbounds i8, ptr %4, i64 88
  store i32 0, ptr %24, align 8
  %25 = getelementptr inbounds i8, ptr %4, i64 92
  store i32 0, ptr %25, align 4
  %26 = getelementptr inbounds i8, ptr %0, i64 120
  %27 = getelementptr inbounds i8, ptr %0, i64 128
  %28 = load i32, ptr %27, align 8
  %29 = icmp eq i32 %28, 0
  br i1 %29, label %637, label %30

30:                                              
  %31 = getelementptr inbounds i8, ptr %0, i64 124
  %32 = getelementptr inbounds i8, ptr %0, i64 108
  %33 = getelementptr inbounds i8, ptr %0, i64 112
  %34 = getelementptr inbounds i8, ptr %0, i64 116
  %35 = getelementptr inbounds i8, ptr %0, i64 136
  %36 = getelementptr inbounds i8, ptr %0, i64 140
  %37 = getelementptr inbounds i8, ptr %0, i64 88
  %38 = getelementptr inbounds i8, ptr %0, i64 16
  %39 = getelementptr inbounds i8, ptr %0, i64 56
  %40 = getelementptr inbounds i8, ptr %0, i64 80
  %41 = getelementptr inbounds i8, ptr %0, i64 32
  %42 = getelementptr inbounds i8, ptr %2, i64 4
  %43 = getelementptr inbounds i8, ptr %0, i64 72
  %44 = getelementptr inbounds i8, ptr %0, i64 132
  %45 = getelementptr inbounds i8, ptr %0, i64 144
  %46 = getelementptr inbounds i8, ptr %0, i64 152
  %47 = load i32, ptr %31, align 4
  br label %48

48:                                              
  %49 = phi i32 [ %28, %30 ], [ %632, %631 ]
  %50 = phi i32 [ %47, %30 ], [ %633, %631 ]
  %51 = phi i32 [ %47, %30 ], [ %634, %631 ]
  %52 = phi i32 [ 0, %30 ], [ %635, %631 ]
  %53 = icmp eq i32 %51, 0
  br i1 %53, label %631, label %54

54:                                              
  %55 = load i32, ptr %26, align 8
  br label %56

56:                                              
  %57 = phi i32 [ %625, %624 ], [ %50, %54 ]
  %58 = phi i32 [ %626, %624 ], [ %55, %54 ]
  %59 = phi i32 [ %627, %624 ], [ 0, %54 ]
  %60 = icmp eq i32 %58, 0
  br i1 %60, label %624, label %65

61:                                              
  %62 = add i32 %66, 1
  %63 = load i32, ptr %26, align 8
  %64 = icmp ult i32 %62, %63
  br i1 %64, label %65, label %622

65:                                              
  %66 = phi i32 [ %62, %61 ], [ 0, %56 ]
  store i32 %66, ptr %32, align 4
  store i32 %59, ptr %33, align 4
  store i32 %52, ptr %34, align 4
  %67 = load i32, ptr %35, align 8
  %68 = icmp eq i32 %67, 0
  br i1 %68, label %69, label %71

69:                                              
  %70 = load i32, ptr %40, align 8
  br label %115

71:                                              
  %72 = load i32, ptr %36, align 4
  %73 = add i32 %72, 1
  store i32 %73, ptr %36, align 4
  %74 = load i32, ptr %37, align 8
  %75 = icmp eq i32 %74, 0
  br i1 %75, label %76, label %80

76:                                              
  %77 = load i32, ptr %40, align 8
  %78 = and i32 %77, 134217727
  %79 = icmp eq i32 %78, 0
  br i1 %79, label %92, label %95

80:                                              
  %81 = phi i64 [ %88, %80 ], [ 0, %71 ]
  %82 = load ptr, ptr %38, align 8
  %83 = load i64, ptr %39, align 8
  %84 = getelementptr i8, ptr %82, i64 %83
  %85 = getelementptr i8, ptr %84, i64 %81
  %86 = load i8, ptr %85, align 1
  %87 = and i8 %86, -3
  store i8 %87, ptr %85, align 1
  %88 = add nsw i64 %81, 1
  %89 = load i32, ptr %37, align 8
  %90 = zext i32 %89 to i64
  %91 = icmp ult i64 %88, %90
  br i1 %91, label %80, label %76

92:                                              
  %93 = phi i32 [ %77, %76 ], [ %100, %95 ]
  %94 = icmp eq i32 %93, 0
  br i1 %94, label %115, label %104

95:                                              
  %96 = phi i64 [ %99, %95 ], [ 0, %76 ]
  %97 = load ptr, ptr %41, align 8
  %98 = getelementptr inbounds i32, ptr %97, i64 %96
  store i32 0, ptr %98, align 4
  %99 = add nsw i64 %96, 1
  %100 = load i32, ptr %40, align 8
  %101 = shl i32 %100, 5
  %102 = zext i32 %101 to i64
  %103 = icmp ult i64 %99, %102
  br i1 %103, label %95, label %92

104:                                             
  %105 = phi i64 [ %111, %104 ], [ 0, %92 ]
  %106 = load ptr, ptr %41, align 8
  %107 = shl nsw i64 %105, 7
  %108 = getelementptr inbounds i8, ptr %106, i64 %107
  %109 = and i64 %105, 31
  %110 = getelementptr inbounds i32, ptr %108, i64 %109
  store i32 1, ptr %110, align 4
  %111 = add nsw i64 %105, 1
  %112 = load i32, ptr %40, align 8
  %113 = zext i32 %112 to i64
  %114 = icmp ult i64 %111, %113
  br i1 %114, label %104, label %115

115:                                             
  %116 = phi i32 [ %70, %69 ], [ 0, %92 ], [ %112, %104 ]
  store i32 %116, ptr %24, align 8
  %117 = load i32, ptr %42, align 4
  %118 = zext i32 %117 to i64
  %119 = zext i32 %116 to i64
  %120 = mul nsw i64 %118, %119
  %121 = load i64, ptr %43, align 8
  %122 = sub nsw i64 %121, %120
  store i64 %122, ptr %43, align 8
  %123 = load ptr, ptr %1, align 8
  %124 = load ptr, ptr %5, align 8
  %125 = load ptr, ptr %0, align 8
  tail call void %123(ptr %0, ptr %124, ptr %125, i32 0, i32 %116)
  %126 = load i32, ptr %44, align 4
  %127 = icmp eq i32 %126, 0
  br i1 %127, label %128, label %637

128:                                             
  %129 = phi i32 [ %202, %619 ], [ %116, %115 ]
  %130 = load i64, ptr %43, align 8
  %131 = icmp slt i64 %130, 0
  br i1 %131, label %132, label %133

132:                                             
  store i32 2, ptr %44, align 4
  br label %637

133:                                             
  %134 = load i32, ptr %40, align 8
  %135 = icmp eq i32 %129, 0
  br i1 %135, label %61, label %136

136:                                             
  %137 = zext i32 %129 to i64
  br label %145

138:                                             
  %139 = icmp eq i32 %151, %152
  %140 = icmp eq i32 %151, -1
  %141 = select i1 %140, i1 true, i1 %139
  %142 = select i1 %140, i32 0, i32 %129
  %143 = select i1 %140, i32 0, i32 %151
  %144 = select i1 %140, i64 0, i64 4294967297
  br i1 %141, label %192, label %161

145:                                             
  %146 = phi i64 [ 0, %136 ], [ %153, %145 ]
  %147 = phi i32 [ 0, %136 ], [ %152, %145 ]
  %148 = phi i32 [ -1, %136 ], [ %151, %145 ]
  %149 = getelementptr inbounds i32, ptr %6, i64 %146
  %150 = load i32, ptr %149, align 4
  %151 = tail call i32 @llvm.umin.i32(i32 %150, i32 %148)
  %152 = tail call i32 @llvm.umax.i32(i32 %150, i32 %147)
  %153 = add nsw i64 %146, 1
  %154 = icmp eq i64 %153, %137
  br i1 %154, label %138, label %145

155:                                             
  %156 = icmp eq i32 %169, %129
  %157 = icmp eq i32 %169, 0
  %158 = or i1 %156, %157
  br i1 %158, label %187, label %159

159:                                             
  %160 = zext i32 %169 to i64
  br label %177

161:                                             
  %162 = phi i64 [ %172, %161 ], [ 0, %138 ]
  %163 = phi i32 [ %171, %161 ], [ 0, %138 ]
  %164 = phi i32 [ %169, %161 ], [ 0, %138 ]
  %165 = getelementptr inbounds i32, ptr %6, i64 %162
  %166 = load i32, ptr %165, align 4
  %167 = icmp ne i32 %166, -1
  %168 = zext i1 %167 to i32
  %169 = add i32 %164, %168
  %170 = tail call i32 @llvm.umax.i32(i32 %166, i32 %163)
  %171 = select i1 %167, i32 %170, i32 %163
  %172 = add nsw i64 %162, 1
  %173 = icmp eq i64 %172, %137
  br i1 %173, label %155, label %161

174:                                             
  %175 = icmp eq i32 %184, 0
  %176 = select i1 %175, i64 4294967296, i64 0
  br label %187

177:                                             
  %178 = phi i64 [ 0, %159 ], [ %185, %177 ]
  %179 = phi i32 [ 0, %159 ], [ %184, %177 ]
  %180 = getelementptr inbounds i32, ptr %6, i64 %178
  %181 = load i32, ptr %180, align 4
  %182 = icmp eq i32 %181, -1
  %183 = zext i1 %182 to i32
  %184 = or i32 %179, %183
  %185 = add nsw i64 %178, 1
  %186 = icmp eq i64 %185, %160
  br i1 %186, label %174, label %177

187:                                             
  %188 = phi i64 [ 4294967296, %155 ], [ %176, %174 ]
  %189 = icmp eq i32 %151, %171
  %190 = zext i1 %189 to i64
  %191 = or i64 %188, %190
  br label %192

192:                                             
  %193 = phi i32 [ %169, %187 ], [ %142, %138 ]
  %194 = phi i32 [ %171, %187 ], [ %143, %138 ]
  %195 = phi i64 [ %191, %187 ], [ %144, %138 ]
  %196 = zext i32 %194 to i64
  %197 = icmp eq i32 %193, 0
  br i1 %197, label %61, label %198

198:                                             
  %199 = icmp ugt i64 %195, 4294967295
  br i1 %199, label %200, label %201

200:                                             
  store i32 %193, ptr %24, align 8
  br label %201

201:                                             
  %202 = phi i32 [ %193, %200 ], [ %129, %198 ]
  %203 = and i64 %195, 4294967295
  %204 = icmp eq i64 %203, 0
  br i1 %204, label %348, label %205

205:                                             
  %206 = getelementptr inbounds %struct.Stop, ptr %2, i64 %196
  %207 = load i32, ptr %206, align 4
  %208 = add i32 %207, -5
  %209 = icmp ult i32 %208, -4
  br i1 %209, label %300, label %210

210:                                             
  %211 = icmp eq i32 %207, 1
  %212 = icmp eq i32 %134, 0
  %213 = select i1 %211, i1 true, i1 %212
  br i1 %213, label %249, label %214

214:                                             
  %215 = zext i32 %134 to i64
  br label %222

216:                                             
  %217 = icmp eq i32 %207, 2
  %218 = icmp eq i32 %207, 3
  %219 = select i1 %218, i32 %239, i32 %238
  %220 = select i1 %217, i32 %240, i32 %219
  %221 = and i32 %220, 1
  br label %243

222:                                             
  %223 = phi i64 [ 0, %214 ], [ %241, %237 ]
  %224 = phi i32 [ 1, %214 ], [ %240, %237 ]
  %225 = phi i32 [ 0, %214 ], [ %239, %237 ]
  %226 = phi i32 [ 0, %214 ], [ %238, %237 ]
  %227 = getelementptr inbounds i32, ptr %6, i64 %223
  %228 = load i32, ptr %227, align 4
  %229 = icmp eq i32 %228, -1
  br i1 %229, label %237, label %230

230:                                             
  %231 = getelementptr inbounds i32, ptr %11, i64 %223
  %232 = load i32, ptr %231, align 4
  %233 = and i32 %232, 1
  %234 = and i32 %233, %224
  %235 = or i32 %233, %225
  %236 = add i32 %233, %226
  br label %237

237:                                             
  %238 = phi i32 [ %236, %230 ], [ %226, %222 ]
  %239 = phi i32 [ %235, %230 ], [ %225, %222 ]
  %240 = phi i32 [ %234, %230 ], [ %224, %222 ]
  %241 = add nsw i64 %223, 1
  %242 = icmp eq i64 %241, %215
  br i1 %242, label %216, label %222

243:                                             
  %244 = phi i64 [ 0, %216 ], [ %247, %243 ]
  %245 = getelementptr inbounds i32, ptr %19, i64 %244
  store i32 %220, ptr %245, align 4
  %246 = getelementptr inbounds i32, ptr %21, i64 %244
  store i32 %221, ptr %246, align 4
  %247 = add nsw i64 %244, 1
  %248 = icmp eq i64 %247, %215
  br i1 %248, label %249, label %243

249:                                             
  %250 = load i32, ptr %35, align 8
  %251 = icmp eq i32 %250, 0
  br i1 %251, label %255, label %252

252:                                             
  %253 = load i32, ptr %36, align 4
  %254 = add i32 %253, 1
  store i32 %254, ptr %36, align 4
  br label %255

255:                                             
  br i1 %199, label %607, label %256

256:                                             
  br i1 %212, label %619, label %257

257:                                             
  %258 = getelementptr inbounds i8, ptr %206, i64 4
  %259 = getelementptr inbounds ptr, ptr %1, i64 %196
  br label %260

260:                                             
  %261 = phi i32 [ %278, %277 ], [ 0, %257 ]
  %262 = load i32, ptr %44, align 4
  %263 = icmp eq i32 %262, 0
  br i1 %263, label %264, label %637

264:                                             
  %265 = load i64, ptr %43, align 8
  %266 = icmp slt i64 %265, 0
  br i1 %266, label %267, label %268

267:                                             
  store i32 2, ptr %44, align 4
  br label %637

268:                                             
  %269 = zext i32 %261 to i64
  %270 = getelementptr inbounds i32, ptr %6, i64 %269
  %271 = load i32, ptr %270, align 4
  %272 = icmp eq i32 %271, %194
  %273 = add i32 %261, 1
  br i1 %272, label %274, label %277

274:                                             
  %275 = tail call i32 @llvm.umax.i32(i32 %134, i32 %273)
  %276 = add i32 %275, -1
  br label %280

277:                                             
  %278 = phi i32 [ %290, %289 ], [ %273, %268 ]
  %279 = icmp ult i32 %278, %134
  br i1 %279, label %260, label %619

280:                                             
  %281 = phi i32 [ %284, %283 ], [ %261, %274 ]
  %282 = icmp eq i32 %281, %276
  br i1 %282, label %289, label %283

283:                                             
  %284 = add i32 %281, 1
  %285 = zext i32 %284 to i64
  %286 = getelementptr inbounds i32, ptr %6, i64 %285
  %287 = load i32, ptr %286, align 4
  %288 = icmp eq i32 %287, %194
  br i1 %288, label %280, label %289

289:                                             
  %290 = phi i32 [ %275, %280 ], [ %284, %283 ]
  %291 = load i32, ptr %258, align 4
  %292 = zext i32 %291 to i64
  %293 = sub i32 %290, %261
  %294 = zext i32 %293 to i64
  %295 = mul nsw i64 %292, %294
  %296 = sub nsw i64 %265, %295
  store i64 %296, ptr %43, align 8
  %297 = load ptr, ptr %259, align 8
  %298 = load ptr, ptr %5, align 8
  %299 = load ptr, ptr %0, align 8
  tail call void %297(ptr %0, ptr %298, ptr %299, i32 %261, i32 %290)
  br label %277

300:                                             
  br i1 %199, label %301, label %348

301:                                             
  %302 = icmp eq i32 %207, 24
  %303 = getelementptr inbounds i8, ptr %206, i64 12
  %304 = getelementptr inbounds i8, ptr %206, i64 24
  br label %305

305:                                             
  %306 = phi i32 [ 0, %301 ], [ %337, %336 ]
  %307 = zext i32 %306 to i64
  %308 = sub i32 %193, %306
  %309 = icmp ugt i32 %308, 31
  %310 = shl nsw i32 -1, %308
  br i1 %302, label %336, label %311

311:                                             
  %312 = load i32, ptr %303, align 4
  %313 = and i32 %312, 4
  %314 = icmp eq i32 %313, 0
  br i1 %314, label %315, label %321

315:                                             
  %316 = add i32 %306, 32
  %317 = tail call i32 @llvm.umin.i32(i32 %193, i32 %316)
  %318 = icmp ult i32 %306, %317
  br i1 %318, label %319, label %331

319:                                             
  %320 = zext i32 %317 to i64
  br label %323

321:                                             
  %322 = load i32, ptr %304, align 4
  br label %331

323:                                             
  %324 = phi i64 [ %307, %319 ], [ %329, %323 ]
  %325 = phi i32 [ -1, %319 ], [ %328, %323 ]
  %326 = getelementptr inbounds i32, ptr %17, i64 %324
  %327 = load i32, ptr %326, align 4
  %328 = and i32 %327, %325
  %329 = add nsw i64 %324, 1
  %330 = icmp ult i64 %329, %320
  br i1 %330, label %323, label %331

331:                                             
  %332 = phi i32 [ %322, %321 ], [ -1, %315 ], [ %328, %323 ]
  %333 = select i1 %309, i32 0, i32 %310
  %334 = or i32 %332, %333
  %335 = icmp eq i32 %334, -1
  br i1 %335, label %336, label %348

336:                                             
  %337 = add i32 %306, 32
  %338 = icmp ult i32 %337, %193
  br i1 %338, label %305, label %339

339:                                             
  %340 = phi i32 [ %346, %339 ], [ 0, %336 ]
  %341 = sub i32 %193, %340
  %342 = icmp ugt i32 %341, 31
  %343 = shl nsw i32 -1, %341
  %344 = xor i32 %343, -1
  %345 = select i1 %342, i32 -1, i32 %344
  call fastcc void @warp_operation(ptr %4, ptr %206, i32 %340, i32 %345)
  %346 = add i32 %340, 32
  %347 = icmp ult i32 %346, %193
  br i1 %347, label %339, label %607

348:                                             
  %349 = icmp eq i32 %134, 0
  br i1 %349, label %369, label %350

350:                                             
  %351 = zext i32 %134 to i64
  br label %352

352:                                             
  %353 = phi i64 [ 0, %350 ], [ %364, %363 ]
  %354 = getelementptr inbounds i32, ptr %6, i64 %353
  %355 = load i32, ptr %354, align 4
  %356 = icmp eq i32 %355, -1
  br i1 %356, label %363, label %357

357:                                             
  %358 = zext i32 %355 to i64
  %359 = getelementptr inbounds %struct.Stop, ptr %2, i64 %358
  %360 = load i32, ptr %359, align 4
  %361 = add i32 %360, -5
  %362 = icmp ult i32 %361, -4
  br i1 %362, label %411, label %363

363:                                             
  %364 = add nsw i64 %353, 1
  %365 = icmp eq i64 %364, %351
  br i1 %365, label %366, label %352

366:                                             
  %367 = load i32, ptr %35, align 8
  %368 = icmp eq i32 %367, 0
  br i1 %368, label %376, label %372

369:                                             
  %370 = load i32, ptr %35, align 8
  %371 = icmp eq i32 %370, 0
  br i1 %371, label %619, label %372

372:                                             
  %373 = getelementptr inbounds %struct.Stop, ptr %2, i64 %196
  %374 = getelementptr inbounds i8, ptr %373, i64 8
  %375 = load i32, ptr %374, align 4
  store i32 8, ptr %44, align 4
  store i32 0, ptr %45, align 8
  store i32 %375, ptr %46, align 8
  br label %637

376:                                             
  %377 = phi i64 [ %381, %376 ], [ 0, %366 ]
  %378 = getelementptr inbounds i32, ptr %6, i64 %377
  %379 = load i32, ptr %378, align 4
  %380 = getelementptr inbounds i32, ptr %23, i64 %377
  store i32 %379, ptr %380, align 4
  %381 = add nsw i64 %377, 1
  %382 = icmp eq i64 %381, %351
  br i1 %382, label %383, label %376

383:                                             
  %384 = phi i64 [ %409, %408 ], [ 0, %376 ]
  %385 = trunc i64 %384 to i32
  %386 = load i32, ptr %44, align 4
  %387 = icmp eq i32 %386, 0
  br i1 %387, label %388, label %637

388:                                             
  %389 = load i64, ptr %43, align 8
  %390 = icmp slt i64 %389, 0
  br i1 %390, label %391, label %392

391:                                             
  store i32 2, ptr %44, align 4
  br label %637

392:                                             
  %393 = getelementptr inbounds i32, ptr %23, i64 %384
  %394 = load i32, ptr %393, align 4
  %395 = icmp eq i32 %394, -1
  br i1 %395, label %408, label %396

396:                                             
  %397 = add i32 %385, 1
  %398 = zext i32 %394 to i64
  %399 = getelementptr inbounds %struct.Stop, ptr %2, i64 %398
  %400 = getelementptr inbounds i8, ptr %399, i64 4
  %401 = load i32, ptr %400, align 4
  %402 = zext i32 %401 to i64
  %403 = sub nsw i64 %389, %402
  store i64 %403, ptr %43, align 8
  %404 = getelementptr inbounds ptr, ptr %1, i64 %398
  %405 = load ptr, ptr %404, align 8
  %406 = load ptr, ptr %5, align 8
  %407 = load ptr, ptr %0, align 8
  tail call void %405(ptr %0, ptr %406, ptr %407, i32 %385, i32 %397)
  br label %408

408:                                             
  %409 = add nsw i64 %384, 1
  %410 = icmp eq i64 %409, %351
  br i1 %410, label %619, label %383

411:                                             
  %412 = phi i32 [ %592, %591 ], [ 0, %357 ]
  %413 = phi i32 [ %593, %591 ], [ 0, %357 ]
  %414 = phi i32 [ %595, %591 ], [ 1, %357 ]
  %415 = phi i32 [ %594, %591 ], [ 0, %357 ]
  %416 = phi i32 [ %417, %591 ], [ 0, %357 ]
  %417 = add i32 %416, 32
  %418 = tail call i32 @llvm.umin.i32(i32 %417, i32 %134)
  %419 = icmp eq i32 %413, 0
  br i1 %419, label %420, label %586

420:                                             
  %421 = icmp ult i32 %416, %418
  %422 = zext i32 %416 to i64
  %423 = zext i32 %418 to i64
  br label %424

424:                                             
  %425 = phi i32 [ %412, %420 ], [ 0, %583 ]
  %426 = phi i32 [ %415, %420 ], [ 1, %583 ]
  %427 = load i64, ptr %43, align 8
  %428 = icmp slt i64 %427, 0
  br i1 %428, label %429, label %430

429:                                             
  store i32 2, ptr %44, align 4
  br label %586

430:                                             
  br i1 %421, label %435, label %431

431:                                             
  %432 = phi i32 [ 0, %430 ], [ %455, %454 ]
  %433 = phi i32 [ 0, %430 ], [ %456, %454 ]
  %434 = icmp eq i32 %432, 0
  br label %459

435:                                             
  %436 = phi i64 [ %457, %454 ], [ %422, %430 ]
  %437 = phi i32 [ %456, %454 ], [ 0, %430 ]
  %438 = phi i32 [ %455, %454 ], [ 0, %430 ]
  %439 = getelementptr inbounds i32, ptr %6, i64 %436
  %440 = load i32, ptr %439, align 4
  %441 = icmp eq i32 %440, -1
  br i1 %441, label %454, label %442

442:                                             
  %443 = trunc i64 %436 to i32
  %444 = sub i32 %443, %416
  %445 = shl i32 1, %444
  %446 = or i32 %445, %437
  %447 = zext i32 %440 to i64
  %448 = getelementptr inbounds %struct.Stop, ptr %2, i64 %447
  %449 = load i32, ptr %448, align 4
  %450 = add i32 %449, -5
  %451 = icmp ult i32 %450, -4
  %452 = select i1 %451, i32 %445, i32 0
  %453 = or i32 %452, %438
  br label %454

454:                                             
  %455 = phi i32 [ %453, %442 ], [ %438, %435 ]
  %456 = phi i32 [ %446, %442 ], [ %437, %435 ]
  %457 = add nsw i64 %436, 1
  %458 = icmp eq i64 %457, %423
  br i1 %458, label %431, label %435

459:                                             
  %460 = phi i32 [ %510, %507 ], [ %432, %431 ]
  %461 = icmp eq i32 %460, 0
  br i1 %461, label %586, label %462

462:                                             
  %463 = tail call i32 @llvm.cttz.i32(i32 %460, i1 true)
  %464 = or i32 %463, %416
  %465 = zext i32 %464 to i64
  %466 = getelementptr inbounds i32, ptr %6, i64 %465
  %467 = load i32, ptr %466, align 4
  %468 = zext i32 %467 to i64
  %469 = getelementptr inbounds %struct.Stop, ptr %2, i64 %468
  %470 = load i32, ptr %469, align 4
  br i1 %434, label %471, label %475

471:                                             
  %472 = phi i32 [ 0, %462 ], [ %487, %475 ]
  %473 = phi i32 [ 0, %462 ], [ %493, %475 ]
  %474 = icmp eq i32 %470, 24
  br i1 %474, label %507, label %497

475:                                             
  %476 = phi i32 [ %495, %475 ], [ %432, %462 ]
  %477 = phi i32 [ %493, %475 ], [ 0, %462 ]
  %478 = phi i32 [ %487, %475 ], [ 0, %462 ]
  %479 = tail call i32 @llvm.cttz.i32(i32 %476, i1 true)
  %480 = or i32 %479, %416
  %481 = zext i32 %480 to i64
  %482 = getelementptr inbounds i32, ptr %6, i64 %481
  %483 = load i32, ptr %482, align 4
  %484 = icmp eq i32 %483, %467
  %485 = shl i32 1, %479
  %486 = select i1 %484, i32 %485, i32 0
  %487 = or i32 %486, %478
  %488 = zext i32 %483 to i64
  %489 = getelementptr inbounds %struct.Stop, ptr %2, i64 %488
  %490 = load i32, ptr %489, align 4
  %491 = icmp eq i32 %490, %470
  %492 = select i1 %491, i32 %485, i32 0
  %493 = or i32 %492, %477
  %494 = add i32 %476, -1
  %495 = and i32 %494, %476
  %496 = icmp eq i32 %495, 0
  br i1 %496, label %471, label %475

497:                                             
  %498 = getelementptr inbounds i8, ptr %469, i64 12
  %499 = load i32, ptr %498, align 4
  %500 = and i32 %499, 4
  %501 = icmp eq i32 %500, 0
  %502 = getelementptr inbounds i8, ptr %469, i64 24
  %503 = getelementptr inbounds i32, ptr %17, i64 %465
  %504 = select i1 %501, ptr %503, ptr %502
  %505 = load i32, ptr %504, align 4
  %506 = and i32 %505, %433
  br label %507

507:                                             
  %508 = phi i32 [ %506, %497 ], [ %472, %471 ]
  %509 = xor i32 %472, -1
  %510 = and i32 %460, %509
  %511 = and i32 %508, %473
  %512 = icmp ne i32 %511, %508
  %513 = icmp eq i32 %508, 0
  %514 = or i1 %513, %512
  br i1 %514, label %459, label %515

515:                                             
  call fastcc void @warp_operation(ptr %4, ptr %469, i32 %416, i32 %508)
  br i1 %421, label %516, label %523

516:                                             
  %517 = phi i64 [ %521, %516 ], [ %422, %515 ]
  %518 = getelementptr inbounds i32, ptr %6, i64 %517
  %519 = load i32, ptr %518, align 4
  %520 = getelementptr inbounds i32, ptr %23, i64 %517
  store i32 %519, ptr %520, align 4
  %521 = add nsw i64 %517, 1
  %522 = icmp eq i64 %521, %423
  br i1 %522, label %523, label %516

523:                                             
  br label %524

524:                                             
  %525 = phi i32 [ %581, %562 ], [ %508, %523 ]
  %526 = load i32, ptr %44, align 4
  %527 = icmp eq i32 %526, 0
  br i1 %527, label %528, label %596

528:                                             
  %529 = load i64, ptr %43, align 8
  %530 = icmp slt i64 %529, 0
  br i1 %530, label %531, label %532

531:                                             
  store i32 2, ptr %44, align 4
  br label %596

532:                                             
  %533 = tail call i32 @llvm.cttz.i32(i32 %525, i1 true)
  %534 = or i32 %533, %416
  %535 = add i32 %534, 1
  %536 = icmp ult i32 %535, %418
  %537 = zext i32 %534 to i64
  br i1 %536, label %538, label %562

538:                                             
  %539 = add i32 %533, %414
  %540 = zext i32 %539 to i64
  %541 = getelementptr inbounds i32, ptr %23, i64 %537
  br label %542

542:                                             
  %543 = phi i64 [ %540, %538 ], [ %560, %555 ]
  %544 = phi i32 [ %525, %538 ], [ %559, %555 ]
  %545 = trunc i64 %543 to i32
  %546 = sub i32 %545, %416
  %547 = shl i32 1, %546
  %548 = and i32 %547, %544
  %549 = icmp eq i32 %548, 0
  br i1 %549, label %562, label %550

550:                                             
  %551 = getelementptr inbounds i32, ptr %23, i64 %543
  %552 = load i32, ptr %551, align 4
  %553 = load i32, ptr %541, align 4
  %554 = icmp eq i32 %552, %553
  br i1 %554, label %555, label %562

555:                                             
  %556 = add i32 %546, -1
  %557 = shl i32 1, %556
  %558 = xor i32 %557, -1
  %559 = and i32 %544, %558
  %560 = add nsw i64 %543, 1
  %561 = icmp ult i64 %560, %423
  br i1 %561, label %542, label %562

562:                                             
  %563 = phi i32 [ %525, %532 ], [ %544, %550 ], [ %559, %555 ], [ %544, %542 ]
  %564 = phi i32 [ %535, %532 ], [ %545, %550 ], [ %418, %555 ], [ %545, %542 ]
  %565 = getelementptr inbounds i32, ptr %23, i64 %537
  %566 = load i32, ptr %565, align 4
  %567 = zext i32 %566 to i64
  %568 = getelementptr inbounds %struct.Stop, ptr %2, i64 %567
  %569 = getelementptr inbounds i8, ptr %568, i64 4
  %570 = load i32, ptr %569, align 4
  %571 = zext i32 %570 to i64
  %572 = sub i32 %564, %534
  %573 = zext i32 %572 to i64
  %574 = mul nsw i64 %571, %573
  %575 = sub nsw i64 %529, %574
  store i64 %575, ptr %43, align 8
  %576 = getelementptr inbounds ptr, ptr %1, i64 %567
  %577 = load ptr, ptr %576, align 8
  %578 = load ptr, ptr %5, align 8
  %579 = load ptr, ptr %0, align 8
  tail call void %577(ptr %0, ptr %578, ptr %579, i32 %534, i32 %564)
  %580 = add i32 %563, -1
  %581 = and i32 %580, %563
  %582 = icmp eq i32 %581, 0
  br i1 %582, label %583, label %524

583:                                             
  %584 = load i32, ptr %44, align 4
  %585 = icmp eq i32 %584, 0
  br i1 %585, label %424, label %596

586:                                             
  %587 = phi i32 [ %412, %411 ], [ 2, %429 ], [ %425, %459 ]
  %588 = phi i32 [ %413, %411 ], [ 2, %429 ], [ 0, %459 ]
  %589 = phi i32 [ %415, %411 ], [ %426, %429 ], [ %426, %459 ]
  %590 = icmp ult i32 %417, %134
  br i1 %590, label %591, label %599

591:                                             
  %592 = phi i32 [ %587, %586 ], [ %597, %596 ]
  %593 = phi i32 [ %588, %586 ], [ %597, %596 ]
  %594 = phi i32 [ %589, %586 ], [ 1, %596 ]
  %595 = add i32 %414, 32
  br label %411

596:                                             
  %597 = phi i32 [ %526, %524 ], [ 2, %531 ], [ %584, %583 ]
  %598 = icmp ult i32 %417, %134
  br i1 %598, label %591, label %619

599:                                             
  %600 = icmp eq i32 %589, 0
  %601 = icmp eq i32 %587, 0
  %602 = select i1 %600, i1 %601, i1 false
  br i1 %602, label %603, label %619

603:                                             
  %604 = getelementptr inbounds %struct.Stop, ptr %2, i64 %196
  %605 = getelementptr inbounds i8, ptr %604, i64 8
  %606 = load i32, ptr %605, align 4
  store i32 1, ptr %44, align 4
  store i32 0, ptr %45, align 8
  store i32 %606, ptr %46, align 8
  br label %637

607:                                             
  %608 = getelementptr inbounds i8, ptr %206, i64 4
  %609 = load i32, ptr %608, align 4
  %610 = zext i32 %609 to i64
  %611 = zext i32 %193 to i64
  %612 = mul nsw i64 %610, %611
  %613 = load i64, ptr %43, align 8
  %614 = sub nsw i64 %613, %612
  store i64 %614, ptr %43, align 8
  %615 = getelementptr inbounds ptr, ptr %1, i64 %196
  %616 = load ptr, ptr %615, align 8
  %617 = load ptr, ptr %5, align 8
  %618 = load ptr, ptr %0, align 8
  tail call void %616(ptr %0, ptr %617, ptr %618, i32 0, i32 %193)
  br label %619

619:                                             
  %620 = load i32, ptr %44, align 4
  %621 = icmp eq i32 %620, 0
  br i1 %621, label %128, label %637

622:                                             
  %623 = load i32, ptr %31, align 4
  br label %624

624:                                             
  %625 = phi i32 [ %623, %622 ], [ %57, %56 ]
  %626 = phi i32 [ %63, %622 ], [ 0, %56 ]
  %627 = add i32 %59, 1
  %628 = icmp ult i32 %627, %625
  br i1 %628, label %56, label %629

629:                                             
  %630 = load i32, ptr %27, align 8
  br label %631

631:                                             
  %632 = phi i32 [ %630, %629 ], [ %49, %48 ]
  %633 = phi i32 [ %625, %629 ], [ %50, %48 ]
  %634 = phi i32 [ %625, %629 ], [ 0, %48 ]
  %635 = add i32 %52, 1
  %636 = icmp ult i32 %635, %632
  br i1 %636, label %48, label %637

637:                                             
  %638 = phi i32 [ 0, %3 ], [ %386, %383 ], [ 2, %132 ], [ %262, %260 ], [ %620, %619 ], [ 1, %603 ], [ 2, %391 ], [ 8, %372 ], [ 2, %267 ], [ %126, %115 ], [ 0, %631 ]
  ret i32 %638
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
