; of scheduler.c with SHA-256 1e0419183e85a6d5c9c9e23d1504acc959033f7d3e8cb2adbfcdce63e9493981
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
  br i1 %27, label %610, label %28

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
  %47 = phi i32 [ %26, %28 ], [ %605, %604 ]
  %48 = phi i32 [ %45, %28 ], [ %606, %604 ]
  %49 = phi i32 [ %45, %28 ], [ %607, %604 ]
  %50 = phi i32 [ 0, %28 ], [ %608, %604 ]
  %51 = icmp eq i32 %49, 0
  br i1 %51, label %604, label %52

52:                                              
  %53 = load i32, ptr %24, align 8
  br label %54

54:                                              
  %55 = phi i32 [ %598, %597 ], [ %48, %52 ]
  %56 = phi i32 [ %599, %597 ], [ %53, %52 ]
  %57 = phi i32 [ %600, %597 ], [ 0, %52 ]
  %58 = icmp eq i32 %56, 0
  br i1 %58, label %597, label %63

59:                                              
  %60 = add i32 %64, 1
  %61 = load i32, ptr %24, align 8
  %62 = icmp ult i32 %60, %61
  br i1 %62, label %63, label %595

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
  br i1 %125, label %126, label %610

126:                                             
  %127 = load i64, ptr %41, align 8
  %128 = icmp slt i64 %127, 0
  br i1 %128, label %129, label %130

129:                                             
  store i32 2, ptr %42, align 4
  br label %610

130:                                             
  %131 = load i32, ptr %38, align 8
  %132 = icmp eq i32 %131, 0
  br i1 %132, label %59, label %133

133:                                             
  %134 = zext i32 %131 to i64
  br label %135

135:                                             
  %136 = phi i64 [ 0, %133 ], [ %142, %135 ]
  %137 = phi i32 [ 1, %133 ], [ %141, %135 ]
  %138 = getelementptr inbounds i32, ptr %6, i64 %136
  %139 = load i32, ptr %138, align 4
  %140 = icmp eq i32 %139, -1
  %141 = select i1 %140, i32 %137, i32 0
  %142 = add nsw i64 %136, 1
  %143 = icmp eq i64 %142, %134
  br i1 %143, label %144, label %135

144:                                             
  %145 = icmp eq i32 %141, 0
  br i1 %145, label %150, label %59

146:                                             
  %147 = icmp ne i32 %177, 0
  %148 = icmp ne i32 %178, 0
  %149 = select i1 %147, i1 %148, i1 false
  br i1 %149, label %183, label %279

150:                                             
  %151 = phi i64 [ %181, %175 ], [ 0, %144 ]
  %152 = phi i32 [ %180, %175 ], [ 0, %144 ]
  %153 = phi i32 [ %179, %175 ], [ 1, %144 ]
  %154 = phi i32 [ %178, %175 ], [ 1, %144 ]
  %155 = phi i32 [ %177, %175 ], [ 1, %144 ]
  %156 = phi i32 [ %176, %175 ], [ -1, %144 ]
  %157 = getelementptr inbounds i32, ptr %6, i64 %151
  %158 = load i32, ptr %157, align 4
  %159 = icmp eq i32 %158, -1
  br i1 %159, label %175, label %160

160:                                             
  %161 = zext i32 %152 to i64
  %162 = icmp eq i64 %151, %161
  %163 = select i1 %162, i32 %153, i32 0
  %164 = icmp eq i32 %152, 0
  %165 = icmp eq i32 %158, %156
  %166 = select i1 %164, i1 true, i1 %165
  %167 = select i1 %166, i32 %155, i32 0
  %168 = zext i32 %158 to i64
  %169 = getelementptr inbounds %struct.Stop, ptr %2, i64 %168
  %170 = load i32, ptr %169, align 4
  %171 = add i32 %170, -5
  %172 = icmp ult i32 %171, -4
  %173 = select i1 %172, i32 0, i32 %154
  %174 = add i32 %152, 1
  br label %175

175:                                             
  %176 = phi i32 [ %158, %160 ], [ %156, %150 ]
  %177 = phi i32 [ %167, %160 ], [ %155, %150 ]
  %178 = phi i32 [ %173, %160 ], [ %154, %150 ]
  %179 = phi i32 [ %163, %160 ], [ %153, %150 ]
  %180 = phi i32 [ %174, %160 ], [ %152, %150 ]
  %181 = add nsw i64 %151, 1
  %182 = icmp eq i64 %181, %134
  br i1 %182, label %146, label %150

183:                                             
  %184 = zext i32 %176 to i64
  %185 = getelementptr inbounds %struct.Stop, ptr %2, i64 %184
  %186 = load i32, ptr %185, align 4
  %187 = icmp eq i32 %186, 1
  br i1 %187, label %221, label %194

188:                                             
  %189 = icmp eq i32 %186, 2
  %190 = icmp eq i32 %186, 3
  %191 = select i1 %190, i32 %211, i32 %210
  %192 = select i1 %189, i32 %212, i32 %191
  %193 = and i32 %192, 1
  br label %215

194:                                             
  %195 = phi i64 [ %213, %209 ], [ 0, %183 ]
  %196 = phi i32 [ %212, %209 ], [ 1, %183 ]
  %197 = phi i32 [ %211, %209 ], [ 0, %183 ]
  %198 = phi i32 [ %210, %209 ], [ 0, %183 ]
  %199 = getelementptr inbounds i32, ptr %6, i64 %195
  %200 = load i32, ptr %199, align 4
  %201 = icmp eq i32 %200, -1
  br i1 %201, label %209, label %202

202:                                             
  %203 = getelementptr inbounds i32, ptr %11, i64 %195
  %204 = load i32, ptr %203, align 4
  %205 = and i32 %204, 1
  %206 = and i32 %205, %196
  %207 = or i32 %205, %197
  %208 = add i32 %205, %198
  br label %209

209:                                             
  %210 = phi i32 [ %208, %202 ], [ %198, %194 ]
  %211 = phi i32 [ %207, %202 ], [ %197, %194 ]
  %212 = phi i32 [ %206, %202 ], [ %196, %194 ]
  %213 = add nsw i64 %195, 1
  %214 = icmp eq i64 %213, %134
  br i1 %214, label %188, label %194

215:                                             
  %216 = phi i64 [ 0, %188 ], [ %219, %215 ]
  %217 = getelementptr inbounds i32, ptr %19, i64 %216
  store i32 %192, ptr %217, align 4
  %218 = getelementptr inbounds i32, ptr %21, i64 %216
  store i32 %193, ptr %218, align 4
  %219 = add nsw i64 %216, 1
  %220 = icmp eq i64 %219, %134
  br i1 %220, label %221, label %215

221:                                             
  %222 = load i32, ptr %33, align 8
  %223 = icmp eq i32 %222, 0
  br i1 %223, label %227, label %224

224:                                             
  %225 = load i32, ptr %34, align 4
  %226 = add i32 %225, 1
  store i32 %226, ptr %34, align 4
  br label %227

227:                                             
  %228 = icmp eq i32 %179, 0
  %229 = getelementptr inbounds i8, ptr %185, i64 4
  br i1 %228, label %230, label %232

230:                                             
  %231 = getelementptr inbounds ptr, ptr %1, i64 %184
  br label %239

232:                                             
  %233 = load i32, ptr %229, align 4
  %234 = zext i32 %233 to i64
  %235 = zext i32 %180 to i64
  %236 = mul nsw i64 %234, %235
  %237 = load i64, ptr %41, align 8
  %238 = sub nsw i64 %237, %236
  br label %585

239:                                             
  %240 = phi i32 [ %257, %256 ], [ 0, %230 ]
  %241 = load i32, ptr %42, align 4
  %242 = icmp eq i32 %241, 0
  br i1 %242, label %243, label %610

243:                                             
  %244 = load i64, ptr %41, align 8
  %245 = icmp slt i64 %244, 0
  br i1 %245, label %246, label %247

246:                                             
  store i32 2, ptr %42, align 4
  br label %610

247:                                             
  %248 = zext i32 %240 to i64
  %249 = getelementptr inbounds i32, ptr %6, i64 %248
  %250 = load i32, ptr %249, align 4
  %251 = icmp eq i32 %250, %176
  %252 = add i32 %240, 1
  br i1 %251, label %253, label %256

253:                                             
  %254 = tail call i32 @llvm.umax.i32(i32 %131, i32 %252)
  %255 = add i32 %254, -1
  br label %259

256:                                             
  %257 = phi i32 [ %269, %268 ], [ %252, %247 ]
  %258 = icmp ult i32 %257, %131
  br i1 %258, label %239, label %592

259:                                             
  %260 = phi i32 [ %263, %262 ], [ %240, %253 ]
  %261 = icmp eq i32 %260, %255
  br i1 %261, label %268, label %262

262:                                             
  %263 = add i32 %260, 1
  %264 = zext i32 %263 to i64
  %265 = getelementptr inbounds i32, ptr %6, i64 %264
  %266 = load i32, ptr %265, align 4
  %267 = icmp eq i32 %266, %176
  br i1 %267, label %259, label %268

268:                                             
  %269 = phi i32 [ %254, %259 ], [ %263, %262 ]
  %270 = load i32, ptr %229, align 4
  %271 = zext i32 %270 to i64
  %272 = sub i32 %269, %240
  %273 = zext i32 %272 to i64
  %274 = mul nsw i64 %271, %273
  %275 = sub nsw i64 %244, %274
  store i64 %275, ptr %41, align 8
  %276 = load ptr, ptr %231, align 8
  %277 = load ptr, ptr %5, align 8
  %278 = load ptr, ptr %0, align 8
  tail call void %276(ptr %0, ptr %277, ptr %278, i32 %240, i32 %269)
  br label %256

279:                                             
  %280 = icmp ne i32 %179, 0
  %281 = select i1 %147, i1 %280, i1 false
  br i1 %281, label %282, label %344

282:                                             
  %283 = zext i32 %176 to i64
  %284 = getelementptr inbounds %struct.Stop, ptr %2, i64 %283
  %285 = icmp eq i32 %180, 0
  br i1 %285, label %336, label %286

286:                                             
  %287 = load i32, ptr %284, align 4
  %288 = icmp eq i32 %287, 24
  %289 = getelementptr inbounds i8, ptr %284, i64 12
  %290 = getelementptr inbounds i8, ptr %284, i64 24
  br label %291

291:                                             
  %292 = phi i32 [ 0, %286 ], [ %323, %322 ]
  %293 = zext i32 %292 to i64
  %294 = sub i32 %180, %292
  %295 = icmp ugt i32 %294, 31
  %296 = shl nsw i32 -1, %294
  br i1 %288, label %322, label %297

297:                                             
  %298 = load i32, ptr %289, align 4
  %299 = and i32 %298, 4
  %300 = icmp eq i32 %299, 0
  br i1 %300, label %301, label %307

301:                                             
  %302 = add i32 %292, 32
  %303 = tail call i32 @llvm.umin.i32(i32 %180, i32 %302)
  %304 = icmp ult i32 %292, %303
  br i1 %304, label %305, label %317

305:                                             
  %306 = zext i32 %303 to i64
  br label %309

307:                                             
  %308 = load i32, ptr %290, align 4
  br label %317

309:                                             
  %310 = phi i64 [ %293, %305 ], [ %315, %309 ]
  %311 = phi i32 [ -1, %305 ], [ %314, %309 ]
  %312 = getelementptr inbounds i32, ptr %17, i64 %310
  %313 = load i32, ptr %312, align 4
  %314 = and i32 %313, %311
  %315 = add nsw i64 %310, 1
  %316 = icmp ult i64 %315, %306
  br i1 %316, label %309, label %317

317:                                             
  %318 = phi i32 [ %308, %307 ], [ -1, %301 ], [ %314, %309 ]
  %319 = select i1 %295, i32 0, i32 %296
  %320 = or i32 %318, %319
  %321 = icmp eq i32 %320, -1
  br i1 %321, label %322, label %344

322:                                             
  %323 = add i32 %292, 32
  %324 = icmp ult i32 %323, %180
  br i1 %324, label %291, label %325

325:                                             
  %326 = phi i32 [ %332, %325 ], [ 0, %322 ]
  %327 = sub i32 %180, %326
  %328 = icmp ugt i32 %327, 31
  %329 = shl nsw i32 -1, %327
  %330 = xor i32 %329, -1
  %331 = select i1 %328, i32 -1, i32 %330
  call fastcc void @warp_operation(ptr %4, ptr %284, i32 %326, i32 %331)
  %332 = add i32 %326, 32
  %333 = icmp ult i32 %332, %180
  br i1 %333, label %325, label %334

334:                                             
  %335 = load i64, ptr %41, align 8
  br label %336

336:                                             
  %337 = phi i64 [ %335, %334 ], [ %127, %282 ]
  %338 = getelementptr inbounds i8, ptr %284, i64 4
  %339 = load i32, ptr %338, align 4
  %340 = zext i32 %339 to i64
  %341 = zext i32 %180 to i64
  %342 = mul nsw i64 %340, %341
  %343 = sub nsw i64 %337, %342
  br label %585

344:                                             
  br i1 %148, label %345, label %388

345:                                             
  %346 = load i32, ptr %33, align 8
  %347 = icmp eq i32 %346, 0
  br i1 %347, label %353, label %348

348:                                             
  %349 = zext i32 %176 to i64
  %350 = getelementptr inbounds %struct.Stop, ptr %2, i64 %349
  %351 = getelementptr inbounds i8, ptr %350, i64 8
  %352 = load i32, ptr %351, align 4
  store i32 8, ptr %42, align 4
  store i32 0, ptr %43, align 8
  store i32 %352, ptr %44, align 8
  br label %610

353:                                             
  %354 = phi i64 [ %358, %353 ], [ 0, %345 ]
  %355 = getelementptr inbounds i32, ptr %6, i64 %354
  %356 = load i32, ptr %355, align 4
  %357 = getelementptr inbounds i32, ptr %23, i64 %354
  store i32 %356, ptr %357, align 4
  %358 = add nsw i64 %354, 1
  %359 = icmp eq i64 %358, %134
  br i1 %359, label %360, label %353

360:                                             
  %361 = phi i64 [ %386, %385 ], [ 0, %353 ]
  %362 = trunc i64 %361 to i32
  %363 = load i32, ptr %42, align 4
  %364 = icmp eq i32 %363, 0
  br i1 %364, label %365, label %610

365:                                             
  %366 = load i64, ptr %41, align 8
  %367 = icmp slt i64 %366, 0
  br i1 %367, label %368, label %369

368:                                             
  store i32 2, ptr %42, align 4
  br label %610

369:                                             
  %370 = getelementptr inbounds i32, ptr %23, i64 %361
  %371 = load i32, ptr %370, align 4
  %372 = icmp eq i32 %371, -1
  br i1 %372, label %385, label %373

373:                                             
  %374 = add i32 %362, 1
  %375 = zext i32 %371 to i64
  %376 = getelementptr inbounds %struct.Stop, ptr %2, i64 %375
  %377 = getelementptr inbounds i8, ptr %376, i64 4
  %378 = load i32, ptr %377, align 4
  %379 = zext i32 %378 to i64
  %380 = sub nsw i64 %366, %379
  store i64 %380, ptr %41, align 8
  %381 = getelementptr inbounds ptr, ptr %1, i64 %375
  %382 = load ptr, ptr %381, align 8
  %383 = load ptr, ptr %5, align 8
  %384 = load ptr, ptr %0, align 8
  tail call void %382(ptr %0, ptr %383, ptr %384, i32 %362, i32 %374)
  br label %385

385:                                             
  %386 = add nsw i64 %361, 1
  %387 = icmp eq i64 %386, %134
  br i1 %387, label %592, label %360

388:                                             
  %389 = phi i32 [ %569, %568 ], [ 0, %344 ]
  %390 = phi i32 [ %570, %568 ], [ 0, %344 ]
  %391 = phi i32 [ %572, %568 ], [ 1, %344 ]
  %392 = phi i32 [ %571, %568 ], [ 0, %344 ]
  %393 = phi i32 [ %394, %568 ], [ 0, %344 ]
  %394 = add i32 %393, 32
  %395 = tail call i32 @llvm.umin.i32(i32 %394, i32 %131)
  %396 = icmp eq i32 %390, 0
  br i1 %396, label %397, label %563

397:                                             
  %398 = icmp ult i32 %393, %395
  %399 = zext i32 %393 to i64
  %400 = zext i32 %395 to i64
  br label %401

401:                                             
  %402 = phi i32 [ %389, %397 ], [ 0, %560 ]
  %403 = phi i32 [ %392, %397 ], [ 1, %560 ]
  %404 = load i64, ptr %41, align 8
  %405 = icmp slt i64 %404, 0
  br i1 %405, label %406, label %407

406:                                             
  store i32 2, ptr %42, align 4
  br label %563

407:                                             
  br i1 %398, label %412, label %408

408:                                             
  %409 = phi i32 [ 0, %407 ], [ %432, %431 ]
  %410 = phi i32 [ 0, %407 ], [ %433, %431 ]
  %411 = icmp eq i32 %409, 0
  br label %436

412:                                             
  %413 = phi i64 [ %434, %431 ], [ %399, %407 ]
  %414 = phi i32 [ %433, %431 ], [ 0, %407 ]
  %415 = phi i32 [ %432, %431 ], [ 0, %407 ]
  %416 = getelementptr inbounds i32, ptr %6, i64 %413
  %417 = load i32, ptr %416, align 4
  %418 = icmp eq i32 %417, -1
  br i1 %418, label %431, label %419

419:                                             
  %420 = trunc i64 %413 to i32
  %421 = sub i32 %420, %393
  %422 = shl i32 1, %421
  %423 = or i32 %422, %414
  %424 = zext i32 %417 to i64
  %425 = getelementptr inbounds %struct.Stop, ptr %2, i64 %424
  %426 = load i32, ptr %425, align 4
  %427 = add i32 %426, -5
  %428 = icmp ult i32 %427, -4
  %429 = select i1 %428, i32 %422, i32 0
  %430 = or i32 %429, %415
  br label %431

431:                                             
  %432 = phi i32 [ %430, %419 ], [ %415, %412 ]
  %433 = phi i32 [ %423, %419 ], [ %414, %412 ]
  %434 = add nsw i64 %413, 1
  %435 = icmp eq i64 %434, %400
  br i1 %435, label %408, label %412

436:                                             
  %437 = phi i32 [ %487, %484 ], [ %409, %408 ]
  %438 = icmp eq i32 %437, 0
  br i1 %438, label %563, label %439

439:                                             
  %440 = tail call i32 @llvm.cttz.i32(i32 %437, i1 true)
  %441 = or i32 %440, %393
  %442 = zext i32 %441 to i64
  %443 = getelementptr inbounds i32, ptr %6, i64 %442
  %444 = load i32, ptr %443, align 4
  %445 = zext i32 %444 to i64
  %446 = getelementptr inbounds %struct.Stop, ptr %2, i64 %445
  %447 = load i32, ptr %446, align 4
  br i1 %411, label %448, label %452

448:                                             
  %449 = phi i32 [ 0, %439 ], [ %464, %452 ]
  %450 = phi i32 [ 0, %439 ], [ %470, %452 ]
  %451 = icmp eq i32 %447, 24
  br i1 %451, label %484, label %474

452:                                             
  %453 = phi i32 [ %472, %452 ], [ %409, %439 ]
  %454 = phi i32 [ %470, %452 ], [ 0, %439 ]
  %455 = phi i32 [ %464, %452 ], [ 0, %439 ]
  %456 = tail call i32 @llvm.cttz.i32(i32 %453, i1 true)
  %457 = or i32 %456, %393
  %458 = zext i32 %457 to i64
  %459 = getelementptr inbounds i32, ptr %6, i64 %458
  %460 = load i32, ptr %459, align 4
  %461 = icmp eq i32 %460, %444
  %462 = shl i32 1, %456
  %463 = select i1 %461, i32 %462, i32 0
  %464 = or i32 %463, %455
  %465 = zext i32 %460 to i64
  %466 = getelementptr inbounds %struct.Stop, ptr %2, i64 %465
  %467 = load i32, ptr %466, align 4
  %468 = icmp eq i32 %467, %447
  %469 = select i1 %468, i32 %462, i32 0
  %470 = or i32 %469, %454
  %471 = add i32 %453, -1
  %472 = and i32 %471, %453
  %473 = icmp eq i32 %472, 0
  br i1 %473, label %448, label %452

474:                                             
  %475 = getelementptr inbounds i8, ptr %446, i64 12
  %476 = load i32, ptr %475, align 4
  %477 = and i32 %476, 4
  %478 = icmp eq i32 %477, 0
  %479 = getelementptr inbounds i8, ptr %446, i64 24
  %480 = getelementptr inbounds i32, ptr %17, i64 %442
  %481 = select i1 %478, ptr %480, ptr %479
  %482 = load i32, ptr %481, align 4
  %483 = and i32 %482, %410
  br label %484

484:                                             
  %485 = phi i32 [ %483, %474 ], [ %449, %448 ]
  %486 = xor i32 %449, -1
  %487 = and i32 %437, %486
  %488 = and i32 %485, %450
  %489 = icmp ne i32 %488, %485
  %490 = icmp eq i32 %485, 0
  %491 = or i1 %490, %489
  br i1 %491, label %436, label %492

492:                                             
  call fastcc void @warp_operation(ptr %4, ptr %446, i32 %393, i32 %485)
  br i1 %398, label %493, label %500

493:                                             
  %494 = phi i64 [ %498, %493 ], [ %399, %492 ]
  %495 = getelementptr inbounds i32, ptr %6, i64 %494
  %496 = load i32, ptr %495, align 4
  %497 = getelementptr inbounds i32, ptr %23, i64 %494
  store i32 %496, ptr %497, align 4
  %498 = add nsw i64 %494, 1
  %499 = icmp eq i64 %498, %400
  br i1 %499, label %500, label %493

500:                                             
  br label %501

501:                                             
  %502 = phi i32 [ %558, %539 ], [ %485, %500 ]
  %503 = load i32, ptr %42, align 4
  %504 = icmp eq i32 %503, 0
  br i1 %504, label %505, label %573

505:                                             
  %506 = load i64, ptr %41, align 8
  %507 = icmp slt i64 %506, 0
  br i1 %507, label %508, label %509

508:                                             
  store i32 2, ptr %42, align 4
  br label %573

509:                                             
  %510 = tail call i32 @llvm.cttz.i32(i32 %502, i1 true)
  %511 = or i32 %510, %393
  %512 = add i32 %511, 1
  %513 = icmp ult i32 %512, %395
  %514 = zext i32 %511 to i64
  br i1 %513, label %515, label %539

515:                                             
  %516 = add i32 %510, %391
  %517 = zext i32 %516 to i64
  %518 = getelementptr inbounds i32, ptr %23, i64 %514
  br label %519

519:                                             
  %520 = phi i64 [ %517, %515 ], [ %537, %532 ]
  %521 = phi i32 [ %502, %515 ], [ %536, %532 ]
  %522 = trunc i64 %520 to i32
  %523 = sub i32 %522, %393
  %524 = shl i32 1, %523
  %525 = and i32 %524, %521
  %526 = icmp eq i32 %525, 0
  br i1 %526, label %539, label %527

527:                                             
  %528 = getelementptr inbounds i32, ptr %23, i64 %520
  %529 = load i32, ptr %528, align 4
  %530 = load i32, ptr %518, align 4
  %531 = icmp eq i32 %529, %530
  br i1 %531, label %532, label %539

532:                                             
  %533 = add i32 %523, -1
  %534 = shl i32 1, %533
  %535 = xor i32 %534, -1
  %536 = and i32 %521, %535
  %537 = add nsw i64 %520, 1
  %538 = icmp ult i64 %537, %400
  br i1 %538, label %519, label %539

539:                                             
  %540 = phi i32 [ %502, %509 ], [ %521, %527 ], [ %536, %532 ], [ %521, %519 ]
  %541 = phi i32 [ %512, %509 ], [ %522, %527 ], [ %395, %532 ], [ %522, %519 ]
  %542 = getelementptr inbounds i32, ptr %23, i64 %514
  %543 = load i32, ptr %542, align 4
  %544 = zext i32 %543 to i64
  %545 = getelementptr inbounds %struct.Stop, ptr %2, i64 %544
  %546 = getelementptr inbounds i8, ptr %545, i64 4
  %547 = load i32, ptr %546, align 4
  %548 = zext i32 %547 to i64
  %549 = sub i32 %541, %511
  %550 = zext i32 %549 to i64
  %551 = mul nsw i64 %548, %550
  %552 = sub nsw i64 %506, %551
  store i64 %552, ptr %41, align 8
  %553 = getelementptr inbounds ptr, ptr %1, i64 %544
  %554 = load ptr, ptr %553, align 8
  %555 = load ptr, ptr %5, align 8
  %556 = load ptr, ptr %0, align 8
  tail call void %554(ptr %0, ptr %555, ptr %556, i32 %511, i32 %541)
  %557 = add i32 %540, -1
  %558 = and i32 %557, %540
  %559 = icmp eq i32 %558, 0
  br i1 %559, label %560, label %501

560:                                             
  %561 = load i32, ptr %42, align 4
  %562 = icmp eq i32 %561, 0
  br i1 %562, label %401, label %573

563:                                             
  %564 = phi i32 [ %389, %388 ], [ 2, %406 ], [ %402, %436 ]
  %565 = phi i32 [ %390, %388 ], [ 2, %406 ], [ 0, %436 ]
  %566 = phi i32 [ %392, %388 ], [ %403, %406 ], [ %403, %436 ]
  %567 = icmp ult i32 %394, %131
  br i1 %567, label %568, label %576

568:                                             
  %569 = phi i32 [ %564, %563 ], [ %574, %573 ]
  %570 = phi i32 [ %565, %563 ], [ %574, %573 ]
  %571 = phi i32 [ %566, %563 ], [ 1, %573 ]
  %572 = add i32 %391, 32
  br label %388

573:                                             
  %574 = phi i32 [ %503, %501 ], [ 2, %508 ], [ %561, %560 ]
  %575 = icmp ult i32 %394, %131
  br i1 %575, label %568, label %592

576:                                             
  %577 = icmp eq i32 %566, 0
  %578 = icmp eq i32 %564, 0
  %579 = select i1 %577, i1 %578, i1 false
  br i1 %579, label %580, label %592

580:                                             
  %581 = zext i32 %176 to i64
  %582 = getelementptr inbounds %struct.Stop, ptr %2, i64 %581
  %583 = getelementptr inbounds i8, ptr %582, i64 8
  %584 = load i32, ptr %583, align 4
  store i32 1, ptr %42, align 4
  store i32 0, ptr %43, align 8
  store i32 %584, ptr %44, align 8
  br label %610

585:                                             
  %586 = phi i64 [ %238, %232 ], [ %343, %336 ]
  %587 = phi i64 [ %184, %232 ], [ %283, %336 ]
  store i64 %586, ptr %41, align 8
  %588 = getelementptr inbounds ptr, ptr %1, i64 %587
  %589 = load ptr, ptr %588, align 8
  %590 = load ptr, ptr %5, align 8
  %591 = load ptr, ptr %0, align 8
  tail call void %589(ptr %0, ptr %590, ptr %591, i32 0, i32 %180)
  br label %592

592:                                             
  %593 = load i32, ptr %42, align 4
  %594 = icmp eq i32 %593, 0
  br i1 %594, label %126, label %610

595:                                             
  %596 = load i32, ptr %29, align 4
  br label %597

597:                                             
  %598 = phi i32 [ %596, %595 ], [ %55, %54 ]
  %599 = phi i32 [ %61, %595 ], [ 0, %54 ]
  %600 = add i32 %57, 1
  %601 = icmp ult i32 %600, %598
  br i1 %601, label %54, label %602

602:                                             
  %603 = load i32, ptr %25, align 8
  br label %604

604:                                             
  %605 = phi i32 [ %603, %602 ], [ %47, %46 ]
  %606 = phi i32 [ %598, %602 ], [ %48, %46 ]
  %607 = phi i32 [ %598, %602 ], [ 0, %46 ]
  %608 = add i32 %50, 1
  %609 = icmp ult i32 %608, %605
  br i1 %609, label %46, label %610

610:                                             
  %611 = phi i32 [ 0, %3 ], [ %241, %239 ], [ 2, %129 ], [ %363, %360 ], [ %593, %592 ], [ 1, %580 ], [ 2, %368 ], [ 8, %348 ], [ 2, %246 ], [ %124, %113 ], [ 0, %604 ]
  ret i32 %611
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
