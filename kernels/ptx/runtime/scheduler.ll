; of scheduler.c with SHA-256 75dd569d1564b2789b360d1564714f0aeb9fe75a6db448b092e1624ca7b45f30
%struct.Access = type { i32, i32, [4 x [2 x %struct.Event]] }
%struct.Event = type { i32, i32 }
%struct.Touch = type { i32, i32, i8, i8, [2 x i8] }
%struct.Launch = type { ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, i32 }
%struct.Stop = type { i32, i32, i32, i32, i32, i32, i32, i32 }

define i32 @ptx_check(ptr %0, i32 %1, i64 %2, i32 %3, i32 %4, i64 %5, i32 %6) local_unnamed_addr {
  %8 = and i32 %4, 3
  %9 = add i64 %2, -17592186044416
  %10 = zext i32 %1 to i64
  %11 = getelementptr inbounds i8, ptr %0, i64 100
  %12 = load i32, ptr %11, align 4
  %13 = zext i32 %12 to i64
  %14 = mul i64 %13, %10
  %15 = add nsw i32 %8, -1
  %16 = icmp ult i32 %15, 2
  br i1 %16, label %33, label %17

17:                                              
  %18 = getelementptr inbounds i8, ptr %0, i64 64
  %19 = load i64, ptr %18, align 8
  %20 = sub i64 %9, %19
  %21 = getelementptr inbounds i8, ptr %0, i64 96
  %22 = load i32, ptr %21, align 8
  %23 = zext i32 %22 to i64
  %24 = icmp ult i64 %20, %23
  br i1 %24, label %38, label %25

25:                                              
  %26 = icmp eq i32 %12, 0
  br i1 %26, label %33, label %27

27:                                              
  %28 = getelementptr inbounds i8, ptr %0, i64 72
  %29 = load i64, ptr %28, align 8
  %30 = add i64 %14, %29
  %31 = sub i64 %9, %30
  %32 = icmp ult i64 %31, %13
  br i1 %32, label %209, label %33

33:                                              
  switch i32 %8, label %220 [
    i32 1, label %34
    i32 2, label %209
  ]

34:                                              
  %35 = getelementptr inbounds i8, ptr %0, i64 96
  %36 = load i32, ptr %35, align 8
  %37 = zext i32 %36 to i64
  br label %38

38:                                              
  %39 = phi i64 [ %37, %34 ], [ %23, %17 ]
  %40 = phi i64 [ %2, %34 ], [ %20, %17 ]
  %41 = icmp ugt i64 %40, %39
  br i1 %41, label %369, label %42

42:                                              
  %43 = sub nsw i64 %39, %40
  %44 = zext i32 %3 to i64
  %45 = icmp ult i64 %43, %44
  br i1 %45, label %369, label %46

46:                                              
  %47 = trunc i64 %40 to i32
  %48 = urem i32 %47, %3
  %49 = icmp eq i32 %48, 0
  br i1 %49, label %50, label %369

50:                                              
  %51 = load ptr, ptr %0, align 8
  %52 = getelementptr inbounds i8, ptr %0, i64 64
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
  br i1 %66, label %70, label %78

67:                                              
  %68 = add nsw i64 %71, 1
  %69 = icmp eq i64 %68, %44
  br i1 %69, label %78, label %70

70:                                              
  %71 = phi i64 [ %68, %67 ], [ 0, %62 ]
  %72 = getelementptr inbounds i8, ptr %55, i64 %71
  %73 = load i8, ptr %72, align 1
  %74 = shl nsw i64 %71, 3
  %75 = lshr i64 %5, %74
  %76 = trunc i64 %75 to i8
  %77 = icmp eq i8 %73, %76
  br i1 %77, label %67, label %78

78:                                              
  %79 = phi i32 [ 15, %50 ], [ 15, %62 ], [ 15, %70 ], [ 11, %67 ]
  %80 = and i32 %4, 24
  %81 = icmp eq i32 %80, 8
  %82 = or i1 %61, %81
  %83 = getelementptr inbounds i8, ptr %0, i64 24
  %84 = lshr i32 %4, 3
  %85 = and i32 %84, 1
  %86 = lshr i32 %4, 1
  %87 = and i32 %86, 2
  %88 = or i32 %85, %87
  %89 = getelementptr inbounds i8, ptr %0, i64 148
  %90 = getelementptr inbounds i8, ptr %0, i64 40
  %91 = shl nsw i64 %10, 7
  %92 = zext i32 %88 to i64
  %93 = and i32 %1, 31
  %94 = zext i32 %93 to i64
  %95 = add i32 %1, 1
  br label %96

96:                                              
  %97 = phi i64 [ 0, %78 ], [ %207, %206 ]
  br i1 %82, label %98, label %103

98:                                              
  %99 = getelementptr inbounds i8, ptr %59, i64 %97
  %100 = load i8, ptr %99, align 1
  %101 = and i8 %100, 2
  %102 = icmp eq i8 %101, 0
  br i1 %102, label %369, label %103

103:                                             
  %104 = load ptr, ptr %83, align 8
  %105 = getelementptr inbounds %struct.Access, ptr %104, i64 %40
  %106 = getelementptr inbounds %struct.Access, ptr %105, i64 %97
  %107 = load i32, ptr %106, align 4
  %108 = load i32, ptr %89, align 4
  %109 = icmp eq i32 %107, %108
  br i1 %109, label %112, label %110

110:                                             
  store i32 %108, ptr %106, align 4
  %111 = getelementptr inbounds i8, ptr %106, i64 4
  tail call void @llvm.memset.p0.i64(ptr align 4 dereferenceable(68) %111, i8 0, i64 68, i1 false)
  br label %112

112:                                             
  switch i32 %88, label %115 [
    i32 0, label %118
    i32 1, label %113
    i32 3, label %114
    i32 2, label %117
  ]

113:                                             
  br label %118

114:                                             
  br label %118

115:                                             
  unreachable

116:                                             
  unreachable

117:                                             
  br label %118

118:                                             
  %119 = phi i32 [ %79, %117 ], [ 4, %113 ], [ 5, %114 ], [ 12, %112 ]
  %120 = getelementptr inbounds i8, ptr %106, i64 8
  br label %121

121:                                             
  %122 = phi i64 [ 0, %118 ], [ %152, %151 ]
  %123 = trunc nsw i64 %122 to i32
  %124 = shl nsw i32 1, %123
  %125 = and i32 %124, %119
  %126 = icmp eq i32 %125, 0
  %127 = getelementptr inbounds [2 x %struct.Event], ptr %120, i64 %122
  br i1 %126, label %151, label %128

128:                                             
  %129 = phi i1 [ false, %150 ], [ true, %121 ]
  %130 = phi i64 [ 1, %150 ], [ 0, %121 ]
  %131 = getelementptr inbounds %struct.Event, ptr %127, i64 %130
  %132 = load i32, ptr %131, align 4
  %133 = icmp eq i32 %132, 0
  br i1 %133, label %150, label %134

134:                                             
  %135 = add i32 %132, -1
  %136 = getelementptr inbounds i8, ptr %131, i64 4
  %137 = load i32, ptr %136, align 4
  %138 = icmp eq i32 %135, %1
  br i1 %138, label %150, label %139

139:                                             
  %140 = xor i32 %135, %1
  %141 = icmp ult i32 %140, 32
  br i1 %141, label %142, label %363

142:                                             
  %143 = load ptr, ptr %90, align 8
  %144 = getelementptr inbounds i8, ptr %143, i64 %91
  %145 = and i32 %135, 31
  %146 = zext i32 %145 to i64
  %147 = getelementptr inbounds i32, ptr %144, i64 %146
  %148 = load i32, ptr %147, align 4
  %149 = icmp ugt i32 %137, %148
  br i1 %149, label %363, label %150

150:                                             
  br i1 %129, label %128, label %151

151:                                             
  %152 = add nsw i64 %122, 1
  %153 = icmp eq i64 %152, 4
  br i1 %153, label %154, label %121

154:                                             
  %155 = getelementptr inbounds [2 x %struct.Event], ptr %120, i64 %92
  %156 = load ptr, ptr %90, align 8
  %157 = getelementptr inbounds i8, ptr %156, i64 %91
  %158 = getelementptr inbounds i32, ptr %157, i64 %94
  %159 = load i32, ptr %158, align 4
  br label %161

160:                                             
  br i1 %166, label %168, label %197

161:                                             
  %162 = phi i1 [ true, %154 ], [ false, %161 ]
  %163 = phi i64 [ 0, %154 ], [ 1, %161 ]
  %164 = getelementptr inbounds %struct.Event, ptr %155, i64 %163
  %165 = load i32, ptr %164, align 4
  %166 = icmp ne i32 %165, %95
  %167 = and i1 %162, %166
  br i1 %167, label %161, label %160

168:                                             
  %169 = phi i1 [ false, %188 ], [ true, %160 ]
  %170 = phi i64 [ 1, %188 ], [ 0, %160 ]
  %171 = getelementptr inbounds %struct.Event, ptr %155, i64 %170
  %172 = load i32, ptr %171, align 4
  %173 = icmp eq i32 %172, 0
  br i1 %173, label %197, label %174

174:                                             
  %175 = add i32 %172, -1
  %176 = getelementptr inbounds i8, ptr %171, i64 4
  %177 = load i32, ptr %176, align 4
  %178 = icmp eq i32 %175, %1
  br i1 %178, label %197, label %179

179:                                             
  %180 = xor i32 %175, %1
  %181 = icmp ult i32 %180, 32
  br i1 %181, label %182, label %188

182:                                             
  %183 = and i32 %175, 31
  %184 = zext i32 %183 to i64
  %185 = getelementptr inbounds i32, ptr %157, i64 %184
  %186 = load i32, ptr %185, align 4
  %187 = icmp ugt i32 %177, %186
  br i1 %187, label %188, label %197

188:                                             
  br i1 %169, label %168, label %189

189:                                             
  %190 = load i32, ptr %155, align 4
  %191 = add i32 %190, -1
  %192 = getelementptr inbounds i8, ptr %155, i64 8
  %193 = load i32, ptr %192, align 4
  %194 = add i32 %193, -1
  %195 = xor i32 %194, %191
  %196 = icmp ult i32 %195, 32
  br i1 %196, label %197, label %201

197:                                             
  %198 = phi i64 [ %163, %160 ], [ 1, %189 ], [ %170, %168 ], [ %170, %174 ], [ %170, %182 ]
  %199 = getelementptr inbounds %struct.Event, ptr %155, i64 %198
  store i32 %95, ptr %199, align 4
  %200 = getelementptr inbounds i8, ptr %199, i64 4
  store i32 %159, ptr %200, align 4
  br label %201

201:                                             
  br i1 %61, label %206, label %202

202:                                             
  %203 = getelementptr inbounds i8, ptr %59, i64 %97
  %204 = load i8, ptr %203, align 1
  %205 = or i8 %204, 2
  store i8 %205, ptr %203, align 1
  br label %206

206:                                             
  %207 = add nsw i64 %97, 1
  %208 = icmp eq i64 %207, %44
  br i1 %208, label %385, label %96

209:                                             
  %210 = phi i64 [ %2, %33 ], [ %31, %27 ]
  %211 = icmp ugt i64 %210, %13
  %212 = sub nsw i64 %13, %210
  %213 = zext i32 %3 to i64
  %214 = icmp ult i64 %212, %213
  %215 = select i1 %211, i1 true, i1 %214
  br i1 %215, label %369, label %216

216:                                             
  %217 = trunc i64 %210 to i32
  %218 = urem i32 %217, %3
  %219 = icmp eq i32 %218, 0
  br i1 %219, label %385, label %369

220:                                             
  %221 = getelementptr inbounds i8, ptr %0, i64 48
  %222 = load i64, ptr %221, align 8
  %223 = icmp ugt i64 %9, %222
  br i1 %223, label %369, label %224

224:                                             
  %225 = sub i64 %222, %9
  %226 = zext i32 %3 to i64
  %227 = icmp ult i64 %225, %226
  br i1 %227, label %369, label %228

228:                                             
  %229 = urem i64 %9, %226
  %230 = icmp eq i64 %229, 0
  br i1 %230, label %231, label %369

231:                                             
  %232 = and i32 %4, 4
  %233 = icmp eq i32 %232, 0
  br i1 %233, label %254, label %234

234:                                             
  %235 = and i32 %4, 16
  %236 = icmp ne i32 %235, 0
  %237 = icmp ult i32 %3, 9
  %238 = and i1 %237, %236
  br i1 %238, label %239, label %254

239:                                             
  %240 = load ptr, ptr %0, align 8
  %241 = getelementptr inbounds i8, ptr %240, i64 %9
  %242 = icmp eq i32 %3, 0
  br i1 %242, label %274, label %246

243:                                             
  %244 = add nsw i64 %247, 1
  %245 = icmp eq i64 %244, %226
  br i1 %245, label %254, label %246

246:                                             
  %247 = phi i64 [ %244, %243 ], [ 0, %239 ]
  %248 = getelementptr inbounds i8, ptr %241, i64 %247
  %249 = load i8, ptr %248, align 1
  %250 = shl nsw i64 %247, 3
  %251 = lshr i64 %5, %250
  %252 = trunc i64 %251 to i8
  %253 = icmp eq i8 %249, %252
  br i1 %253, label %243, label %254

254:                                             
  %255 = phi i32 [ 15, %231 ], [ 15, %234 ], [ 15, %246 ], [ 11, %243 ]
  %256 = icmp eq i32 %3, 0
  br i1 %256, label %274, label %257

257:                                             
  %258 = getelementptr inbounds i8, ptr %0, i64 16
  %259 = load ptr, ptr %258, align 8
  %260 = getelementptr i8, ptr %259, i64 %9
  br label %264

261:                                             
  %262 = add nsw i64 %265, 1
  %263 = icmp eq i64 %262, %226
  br i1 %263, label %274, label %264

264:                                             
  %265 = phi i64 [ 0, %257 ], [ %262, %261 ]
  %266 = getelementptr i8, ptr %260, i64 %265
  %267 = load i8, ptr %266, align 1
  %268 = zext i8 %267 to i32
  %269 = and i32 %268, 1
  %270 = icmp eq i32 %269, 0
  br i1 %270, label %369, label %271

271:                                             
  %272 = and i32 %232, %268
  %273 = icmp eq i32 %272, 0
  br i1 %273, label %261, label %369

274:                                             
  %275 = phi i1 [ true, %239 ], [ true, %254 ], [ false, %261 ]
  %276 = phi i32 [ 11, %239 ], [ %255, %254 ], [ %255, %261 ]
  %277 = and i32 %4, 8
  %278 = icmp eq i32 %277, 0
  %279 = and i32 %4, 36
  %280 = icmp eq i32 %279, 4
  %281 = or i1 %278, %280
  br i1 %281, label %295, label %282

282:                                             
  %283 = and i32 %4, 64
  %284 = icmp eq i32 %283, 0
  br i1 %284, label %285, label %290

285:                                             
  %286 = getelementptr inbounds i8, ptr %0, i64 160
  %287 = load i32, ptr %286, align 8
  %288 = icmp ne i32 %287, 0
  %289 = zext i1 %288 to i32
  br label %290

290:                                             
  %291 = phi i32 [ 1, %282 ], [ %289, %285 ]
  %292 = getelementptr inbounds i8, ptr %0, i64 164
  %293 = load i32, ptr %292, align 4
  %294 = or i32 %293, %291
  store i32 %294, ptr %292, align 4
  br label %295

295:                                             
  br i1 %275, label %385, label %296

296:                                             
  %297 = getelementptr inbounds i8, ptr %0, i64 32
  %298 = lshr i32 %4, 3
  %299 = and i32 %298, 1
  %300 = lshr i32 %4, 1
  %301 = and i32 %300, 2
  %302 = or i32 %299, %301
  %303 = getelementptr inbounds i8, ptr %0, i64 156
  %304 = getelementptr inbounds i8, ptr %0, i64 152
  %305 = shl nsw i32 1, %302
  %306 = trunc nsw i32 %305 to i8
  %307 = getelementptr inbounds i8, ptr %0, i64 164
  br label %308

308:                                             
  %309 = phi i64 [ 0, %296 ], [ %361, %360 ]
  %310 = load ptr, ptr %297, align 8
  %311 = getelementptr inbounds %struct.Touch, ptr %310, i64 %9
  %312 = getelementptr inbounds %struct.Touch, ptr %311, i64 %309
  %313 = load i32, ptr %312, align 4
  %314 = load i32, ptr %303, align 4
  %315 = icmp eq i32 %313, %314
  br i1 %315, label %316, label %320

316:                                             
  %317 = getelementptr inbounds i8, ptr %312, i64 8
  %318 = load i8, ptr %317, align 4
  %319 = or i8 %318, %306
  br label %336

320:                                             
  %321 = load i32, ptr %304, align 8
  %322 = icmp ult i32 %313, %321
  %323 = select i1 %322, i32 0, i32 %313
  br i1 %322, label %330, label %324

324:                                             
  %325 = getelementptr inbounds i8, ptr %312, i64 9
  %326 = load i8, ptr %325, align 1
  %327 = getelementptr inbounds i8, ptr %312, i64 8
  %328 = load i8, ptr %327, align 4
  %329 = or i8 %328, %326
  br label %330

330:                                             
  %331 = phi i8 [ %329, %324 ], [ 0, %320 ]
  store i32 %314, ptr %312, align 4
  %332 = getelementptr inbounds i8, ptr %312, i64 4
  store i32 %323, ptr %332, align 4
  %333 = getelementptr inbounds i8, ptr %312, i64 9
  store i8 %331, ptr %333, align 1
  %334 = getelementptr inbounds i8, ptr %312, i64 10
  store i8 0, ptr %334, align 2
  %335 = getelementptr inbounds i8, ptr %312, i64 11
  store i8 0, ptr %335, align 1
  br label %336

336:                                             
  %337 = phi i8 [ %319, %316 ], [ %306, %330 ]
  %338 = getelementptr inbounds i8, ptr %312, i64 8
  store i8 %337, ptr %338, align 4
  %339 = load i32, ptr %307, align 4
  %340 = icmp eq i32 %339, 0
  br i1 %340, label %341, label %360

341:                                             
  %342 = getelementptr inbounds i8, ptr %312, i64 9
  %343 = load i8, ptr %342, align 1
  %344 = zext i8 %343 to i32
  switch i32 %302, label %116 [
    i32 0, label %348
    i32 1, label %345
    i32 3, label %346
    i32 2, label %347
  ]

345:                                             
  br label %348

346:                                             
  br label %348

347:                                             
  br label %348

348:                                             
  %349 = phi i32 [ %276, %347 ], [ 4, %345 ], [ 5, %346 ], [ 12, %341 ]
  %350 = and i32 %349, %344
  %351 = icmp eq i32 %350, 0
  br i1 %351, label %360, label %352

352:                                             
  %353 = getelementptr inbounds i8, ptr %312, i64 4
  %354 = load i32, ptr %353, align 4
  %355 = load i32, ptr %304, align 8
  %356 = add i32 %354, 1
  %357 = icmp eq i32 %356, %355
  br i1 %357, label %360, label %358

358:                                             
  %359 = sub i32 %354, %355
  br label %363

360:                                             
  %361 = add nsw i64 %309, 1
  %362 = icmp eq i64 %361, %226
  br i1 %362, label %385, label %308

363:                                             
  %364 = phi i32 [ %359, %358 ], [ %135, %142 ], [ %135, %139 ]
  %365 = phi i64 [ %2, %358 ], [ %40, %142 ], [ %40, %139 ]
  %366 = phi i32 [ %8, %358 ], [ 1, %142 ], [ 1, %139 ]
  %367 = phi i32 [ 11, %358 ], [ 7, %142 ], [ 7, %139 ]
  %368 = getelementptr inbounds i8, ptr %0, i64 172
  store i32 %364, ptr %368, align 4
  br label %369

369:                                             
  %370 = phi i64 [ %40, %38 ], [ %210, %209 ], [ %210, %216 ], [ %2, %228 ], [ %2, %224 ], [ %2, %220 ], [ %2, %271 ], [ %365, %363 ], [ %40, %46 ], [ %40, %42 ], [ %2, %264 ], [ %40, %98 ]
  %371 = phi i32 [ 1, %38 ], [ 2, %209 ], [ 2, %216 ], [ %8, %228 ], [ %8, %224 ], [ %8, %220 ], [ %8, %271 ], [ %366, %363 ], [ 1, %46 ], [ 1, %42 ], [ %8, %264 ], [ 1, %98 ]
  %372 = phi i32 [ 4, %38 ], [ 4, %209 ], [ 5, %216 ], [ 5, %228 ], [ 4, %224 ], [ 4, %220 ], [ 10, %271 ], [ %367, %363 ], [ 5, %46 ], [ 4, %42 ], [ 4, %264 ], [ 6, %98 ]
  %373 = getelementptr inbounds i8, ptr %0, i64 140
  %374 = load i32, ptr %373, align 4
  %375 = icmp eq i32 %374, 0
  br i1 %375, label %376, label %385

376:                                             
  %377 = getelementptr inbounds i8, ptr %0, i64 192
  store i64 %370, ptr %377, align 8
  %378 = getelementptr inbounds i8, ptr %0, i64 180
  store i32 %3, ptr %378, align 4
  %379 = getelementptr inbounds i8, ptr %0, i64 184
  store i32 %371, ptr %379, align 8
  %380 = lshr i32 %4, 2
  %381 = and i32 %380, 1
  %382 = getelementptr inbounds i8, ptr %0, i64 188
  store i32 %381, ptr %382, align 4
  store i32 %372, ptr %373, align 4
  %383 = getelementptr inbounds i8, ptr %0, i64 168
  store i32 %1, ptr %383, align 8
  %384 = getelementptr inbounds i8, ptr %0, i64 176
  store i32 %6, ptr %384, align 8
  br label %385

385:                                             
  %386 = phi i32 [ 1, %376 ], [ 0, %216 ], [ 0, %295 ], [ 0, %360 ], [ 1, %369 ], [ 0, %206 ]
  ret i32 %386
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
  %26 = getelementptr inbounds i8, ptr %0, i64 128
  %27 = getelementptr inbounds i8, ptr %0, i64 136
  %28 = load i32, ptr %27, align 8
  %29 = icmp eq i32 %28, 0
  br i1 %29, label %727, label %30

30:                                              
  %31 = getelementptr inbounds i8, ptr %0, i64 132
  %32 = getelementptr inbounds i8, ptr %0, i64 116
  %33 = getelementptr inbounds i8, ptr %0, i64 120
  %34 = getelementptr inbounds i8, ptr %0, i64 124
  %35 = getelementptr inbounds i8, ptr %0, i64 144
  %36 = getelementptr inbounds i8, ptr %0, i64 148
  %37 = getelementptr inbounds i8, ptr %0, i64 156
  %38 = getelementptr inbounds i8, ptr %0, i64 164
  %39 = getelementptr inbounds i8, ptr %0, i64 160
  %40 = getelementptr inbounds i8, ptr %0, i64 96
  %41 = getelementptr inbounds i8, ptr %0, i64 16
  %42 = getelementptr inbounds i8, ptr %0, i64 64
  %43 = getelementptr inbounds i8, ptr %0, i64 88
  %44 = getelementptr inbounds i8, ptr %0, i64 40
  %45 = getelementptr inbounds i8, ptr %2, i64 4
  %46 = getelementptr inbounds i8, ptr %0, i64 80
  %47 = getelementptr inbounds i8, ptr %0, i64 140
  %48 = getelementptr inbounds i8, ptr %0, i64 168
  %49 = getelementptr inbounds i8, ptr %0, i64 176
  %50 = load i32, ptr %31, align 4
  br label %51

51:                                              
  %52 = phi i32 [ %28, %30 ], [ %722, %721 ]
  %53 = phi i32 [ %50, %30 ], [ %723, %721 ]
  %54 = phi i32 [ %50, %30 ], [ %724, %721 ]
  %55 = phi i32 [ 0, %30 ], [ %725, %721 ]
  %56 = icmp eq i32 %54, 0
  br i1 %56, label %721, label %57

57:                                              
  %58 = load i32, ptr %26, align 8
  br label %59

59:                                              
  %60 = phi i32 [ %715, %714 ], [ %53, %57 ]
  %61 = phi i32 [ %716, %714 ], [ %58, %57 ]
  %62 = phi i32 [ %717, %714 ], [ 0, %57 ]
  %63 = icmp eq i32 %61, 0
  br i1 %63, label %714, label %68

64:                                              
  %65 = add i32 %69, 1
  %66 = load i32, ptr %26, align 8
  %67 = icmp ult i32 %65, %66
  br i1 %67, label %68, label %712

68:                                              
  %69 = phi i32 [ %65, %64 ], [ 0, %59 ]
  store i32 %69, ptr %32, align 4
  store i32 %62, ptr %33, align 4
  store i32 %55, ptr %34, align 4
  %70 = load i32, ptr %35, align 8
  %71 = icmp eq i32 %70, 0
  br i1 %71, label %72, label %74

72:                                              
  %73 = load i32, ptr %43, align 8
  br label %120

74:                                              
  %75 = load i32, ptr %36, align 4
  %76 = add i32 %75, 1
  store i32 %76, ptr %36, align 4
  %77 = load i32, ptr %37, align 4
  %78 = add i32 %77, 1
  store i32 %78, ptr %37, align 4
  store i32 0, ptr %38, align 4
  store i32 0, ptr %39, align 8
  %79 = load i32, ptr %40, align 8
  %80 = icmp eq i32 %79, 0
  br i1 %80, label %81, label %85

81:                                              
  %82 = load i32, ptr %43, align 8
  %83 = and i32 %82, 134217727
  %84 = icmp eq i32 %83, 0
  br i1 %84, label %97, label %100

85:                                              
  %86 = phi i64 [ %93, %85 ], [ 0, %74 ]
  %87 = load ptr, ptr %41, align 8
  %88 = load i64, ptr %42, align 8
  %89 = getelementptr i8, ptr %87, i64 %88
  %90 = getelementptr i8, ptr %89, i64 %86
  %91 = load i8, ptr %90, align 1
  %92 = and i8 %91, -3
  store i8 %92, ptr %90, align 1
  %93 = add nsw i64 %86, 1
  %94 = load i32, ptr %40, align 8
  %95 = zext i32 %94 to i64
  %96 = icmp ult i64 %93, %95
  br i1 %96, label %85, label %81

97:                                              
  %98 = phi i32 [ %82, %81 ], [ %105, %100 ]
  %99 = icmp eq i32 %98, 0
  br i1 %99, label %120, label %109

100:                                             
  %101 = phi i64 [ %104, %100 ], [ 0, %81 ]
  %102 = load ptr, ptr %44, align 8
  %103 = getelementptr inbounds i32, ptr %102, i64 %101
  store i32 0, ptr %103, align 4
  %104 = add nsw i64 %101, 1
  %105 = load i32, ptr %43, align 8
  %106 = shl i32 %105, 5
  %107 = zext i32 %106 to i64
  %108 = icmp ult i64 %104, %107
  br i1 %108, label %100, label %97

109:                                             
  %110 = phi i64 [ %116, %109 ], [ 0, %97 ]
  %111 = load ptr, ptr %44, align 8
  %112 = shl nsw i64 %110, 7
  %113 = getelementptr inbounds i8, ptr %111, i64 %112
  %114 = and i64 %110, 31
  %115 = getelementptr inbounds i32, ptr %113, i64 %114
  store i32 1, ptr %115, align 4
  %116 = add nsw i64 %110, 1
  %117 = load i32, ptr %43, align 8
  %118 = zext i32 %117 to i64
  %119 = icmp ult i64 %116, %118
  br i1 %119, label %109, label %120

120:                                             
  %121 = phi i32 [ %73, %72 ], [ 0, %97 ], [ %117, %109 ]
  store i32 %121, ptr %24, align 8
  %122 = load i32, ptr %45, align 4
  %123 = zext i32 %122 to i64
  %124 = zext i32 %121 to i64
  %125 = mul nsw i64 %123, %124
  %126 = load i64, ptr %46, align 8
  %127 = sub nsw i64 %126, %125
  store i64 %127, ptr %46, align 8
  %128 = load ptr, ptr %1, align 8
  %129 = load ptr, ptr %5, align 8
  %130 = load ptr, ptr %0, align 8
  tail call void %128(ptr %0, ptr %129, ptr %130, i32 0, i32 %121)
  %131 = load i32, ptr %47, align 4
  %132 = icmp eq i32 %131, 0
  br i1 %132, label %133, label %727

133:                                             
  %134 = phi i32 [ %207, %709 ], [ %121, %120 ]
  %135 = load i64, ptr %46, align 8
  %136 = icmp slt i64 %135, 0
  br i1 %136, label %137, label %138

137:                                             
  store i32 2, ptr %47, align 4
  br label %727

138:                                             
  %139 = load i32, ptr %43, align 8
  %140 = icmp eq i32 %134, 0
  br i1 %140, label %64, label %141

141:                                             
  %142 = zext i32 %134 to i64
  br label %150

143:                                             
  %144 = icmp eq i32 %156, %157
  %145 = icmp eq i32 %156, -1
  %146 = select i1 %145, i1 true, i1 %144
  %147 = select i1 %145, i32 0, i32 %134
  %148 = select i1 %145, i32 0, i32 %156
  %149 = select i1 %145, i64 0, i64 4294967297
  br i1 %146, label %197, label %166

150:                                             
  %151 = phi i64 [ 0, %141 ], [ %158, %150 ]
  %152 = phi i32 [ 0, %141 ], [ %157, %150 ]
  %153 = phi i32 [ -1, %141 ], [ %156, %150 ]
  %154 = getelementptr inbounds i32, ptr %6, i64 %151
  %155 = load i32, ptr %154, align 4
  %156 = tail call i32 @llvm.umin.i32(i32 %155, i32 %153)
  %157 = tail call i32 @llvm.umax.i32(i32 %155, i32 %152)
  %158 = add nsw i64 %151, 1
  %159 = icmp eq i64 %158, %142
  br i1 %159, label %143, label %150

160:                                             
  %161 = icmp eq i32 %174, %134
  %162 = icmp eq i32 %174, 0
  %163 = or i1 %161, %162
  br i1 %163, label %192, label %164

164:                                             
  %165 = zext i32 %174 to i64
  br label %182

166:                                             
  %167 = phi i64 [ %177, %166 ], [ 0, %143 ]
  %168 = phi i32 [ %176, %166 ], [ 0, %143 ]
  %169 = phi i32 [ %174, %166 ], [ 0, %143 ]
  %170 = getelementptr inbounds i32, ptr %6, i64 %167
  %171 = load i32, ptr %170, align 4
  %172 = icmp ne i32 %171, -1
  %173 = zext i1 %172 to i32
  %174 = add i32 %169, %173
  %175 = tail call i32 @llvm.umax.i32(i32 %171, i32 %168)
  %176 = select i1 %172, i32 %175, i32 %168
  %177 = add nsw i64 %167, 1
  %178 = icmp eq i64 %177, %142
  br i1 %178, label %160, label %166

179:                                             
  %180 = icmp eq i32 %189, 0
  %181 = select i1 %180, i64 4294967296, i64 0
  br label %192

182:                                             
  %183 = phi i64 [ 0, %164 ], [ %190, %182 ]
  %184 = phi i32 [ 0, %164 ], [ %189, %182 ]
  %185 = getelementptr inbounds i32, ptr %6, i64 %183
  %186 = load i32, ptr %185, align 4
  %187 = icmp eq i32 %186, -1
  %188 = zext i1 %187 to i32
  %189 = or i32 %184, %188
  %190 = add nsw i64 %183, 1
  %191 = icmp eq i64 %190, %165
  br i1 %191, label %179, label %182

192:                                             
  %193 = phi i64 [ 4294967296, %160 ], [ %181, %179 ]
  %194 = icmp eq i32 %156, %176
  %195 = zext i1 %194 to i64
  %196 = or i64 %193, %195
  br label %197

197:                                             
  %198 = phi i32 [ %174, %192 ], [ %147, %143 ]
  %199 = phi i32 [ %176, %192 ], [ %148, %143 ]
  %200 = phi i64 [ %196, %192 ], [ %149, %143 ]
  %201 = zext i32 %199 to i64
  %202 = icmp eq i32 %198, 0
  br i1 %202, label %64, label %203

203:                                             
  %204 = icmp ugt i64 %200, 4294967295
  br i1 %204, label %205, label %206

205:                                             
  store i32 %198, ptr %24, align 8
  br label %206

206:                                             
  %207 = phi i32 [ %198, %205 ], [ %134, %203 ]
  %208 = and i64 %200, 4294967295
  %209 = icmp eq i64 %208, 0
  br i1 %209, label %373, label %210

210:                                             
  %211 = getelementptr inbounds %struct.Stop, ptr %2, i64 %201
  %212 = load i32, ptr %211, align 4
  %213 = add i32 %212, -5
  %214 = icmp ult i32 %213, -4
  br i1 %214, label %313, label %215

215:                                             
  %216 = icmp eq i32 %212, 1
  %217 = icmp eq i32 %139, 0
  %218 = select i1 %216, i1 true, i1 %217
  br i1 %218, label %254, label %219

219:                                             
  %220 = zext i32 %139 to i64
  br label %227

221:                                             
  %222 = icmp eq i32 %212, 2
  %223 = icmp eq i32 %212, 3
  %224 = select i1 %223, i32 %244, i32 %243
  %225 = select i1 %222, i32 %245, i32 %224
  %226 = and i32 %225, 1
  br label %248

227:                                             
  %228 = phi i64 [ 0, %219 ], [ %246, %242 ]
  %229 = phi i32 [ 1, %219 ], [ %245, %242 ]
  %230 = phi i32 [ 0, %219 ], [ %244, %242 ]
  %231 = phi i32 [ 0, %219 ], [ %243, %242 ]
  %232 = getelementptr inbounds i32, ptr %6, i64 %228
  %233 = load i32, ptr %232, align 4
  %234 = icmp eq i32 %233, -1
  br i1 %234, label %242, label %235

235:                                             
  %236 = getelementptr inbounds i32, ptr %11, i64 %228
  %237 = load i32, ptr %236, align 4
  %238 = and i32 %237, 1
  %239 = and i32 %238, %229
  %240 = or i32 %238, %230
  %241 = add i32 %238, %231
  br label %242

242:                                             
  %243 = phi i32 [ %241, %235 ], [ %231, %227 ]
  %244 = phi i32 [ %240, %235 ], [ %230, %227 ]
  %245 = phi i32 [ %239, %235 ], [ %229, %227 ]
  %246 = add nsw i64 %228, 1
  %247 = icmp eq i64 %246, %220
  br i1 %247, label %221, label %227

248:                                             
  %249 = phi i64 [ 0, %221 ], [ %252, %248 ]
  %250 = getelementptr inbounds i32, ptr %19, i64 %249
  store i32 %225, ptr %250, align 4
  %251 = getelementptr inbounds i32, ptr %21, i64 %249
  store i32 %226, ptr %251, align 4
  %252 = add nsw i64 %249, 1
  %253 = icmp eq i64 %252, %220
  br i1 %253, label %254, label %248

254:                                             
  %255 = load i32, ptr %35, align 8
  %256 = icmp eq i32 %255, 0
  br i1 %256, label %260, label %257

257:                                             
  %258 = load i32, ptr %36, align 4
  %259 = add i32 %258, 1
  store i32 %259, ptr %36, align 4
  br label %260

260:                                             
  br i1 %204, label %261, label %269

261:                                             
  %262 = getelementptr inbounds i8, ptr %211, i64 4
  %263 = load i32, ptr %262, align 4
  %264 = zext i32 %263 to i64
  %265 = zext i32 %198 to i64
  %266 = mul nsw i64 %264, %265
  %267 = load i64, ptr %46, align 8
  %268 = sub nsw i64 %267, %266
  br label %703

269:                                             
  br i1 %217, label %709, label %270

270:                                             
  %271 = getelementptr inbounds i8, ptr %211, i64 4
  %272 = getelementptr inbounds ptr, ptr %1, i64 %201
  br label %273

273:                                             
  %274 = phi i32 [ %291, %290 ], [ 0, %270 ]
  %275 = load i32, ptr %47, align 4
  %276 = icmp eq i32 %275, 0
  br i1 %276, label %277, label %727

277:                                             
  %278 = load i64, ptr %46, align 8
  %279 = icmp slt i64 %278, 0
  br i1 %279, label %280, label %281

280:                                             
  store i32 2, ptr %47, align 4
  br label %727

281:                                             
  %282 = zext i32 %274 to i64
  %283 = getelementptr inbounds i32, ptr %6, i64 %282
  %284 = load i32, ptr %283, align 4
  %285 = icmp eq i32 %284, %199
  %286 = add i32 %274, 1
  br i1 %285, label %287, label %290

287:                                             
  %288 = tail call i32 @llvm.umax.i32(i32 %139, i32 %286)
  %289 = add i32 %288, -1
  br label %293

290:                                             
  %291 = phi i32 [ %303, %302 ], [ %286, %281 ]
  %292 = icmp ult i32 %291, %139
  br i1 %292, label %273, label %709

293:                                             
  %294 = phi i32 [ %297, %296 ], [ %274, %287 ]
  %295 = icmp eq i32 %294, %289
  br i1 %295, label %302, label %296

296:                                             
  %297 = add i32 %294, 1
  %298 = zext i32 %297 to i64
  %299 = getelementptr inbounds i32, ptr %6, i64 %298
  %300 = load i32, ptr %299, align 4
  %301 = icmp eq i32 %300, %199
  br i1 %301, label %293, label %302

302:                                             
  %303 = phi i32 [ %288, %293 ], [ %297, %296 ]
  %304 = load i32, ptr %271, align 4
  %305 = zext i32 %304 to i64
  %306 = sub i32 %303, %274
  %307 = zext i32 %306 to i64
  %308 = mul nsw i64 %305, %307
  %309 = sub nsw i64 %278, %308
  store i64 %309, ptr %46, align 8
  %310 = load ptr, ptr %272, align 8
  %311 = load ptr, ptr %5, align 8
  %312 = load ptr, ptr %0, align 8
  tail call void %310(ptr %0, ptr %311, ptr %312, i32 %274, i32 %303)
  br label %290

313:                                             
  br i1 %204, label %314, label %373

314:                                             
  %315 = icmp eq i32 %212, 25
  br i1 %315, label %365, label %316

316:                                             
  %317 = icmp eq i32 %212, 24
  %318 = getelementptr inbounds i8, ptr %211, i64 12
  %319 = getelementptr inbounds i8, ptr %211, i64 24
  br label %320

320:                                             
  %321 = phi i32 [ 0, %316 ], [ %352, %351 ]
  %322 = zext i32 %321 to i64
  %323 = sub i32 %198, %321
  %324 = icmp ugt i32 %323, 31
  %325 = shl nsw i32 -1, %323
  br i1 %317, label %351, label %326

326:                                             
  %327 = load i32, ptr %318, align 4
  %328 = and i32 %327, 4
  %329 = icmp eq i32 %328, 0
  br i1 %329, label %330, label %336

330:                                             
  %331 = add i32 %321, 32
  %332 = tail call i32 @llvm.umin.i32(i32 %198, i32 %331)
  %333 = icmp ult i32 %321, %332
  br i1 %333, label %334, label %346

334:                                             
  %335 = zext i32 %332 to i64
  br label %338

336:                                             
  %337 = load i32, ptr %319, align 4
  br label %346

338:                                             
  %339 = phi i64 [ %322, %334 ], [ %344, %338 ]
  %340 = phi i32 [ -1, %334 ], [ %343, %338 ]
  %341 = getelementptr inbounds i32, ptr %17, i64 %339
  %342 = load i32, ptr %341, align 4
  %343 = and i32 %342, %340
  %344 = add nsw i64 %339, 1
  %345 = icmp ult i64 %344, %335
  br i1 %345, label %338, label %346

346:                                             
  %347 = phi i32 [ %337, %336 ], [ -1, %330 ], [ %343, %338 ]
  %348 = select i1 %324, i32 0, i32 %325
  %349 = or i32 %347, %348
  %350 = icmp eq i32 %349, -1
  br i1 %350, label %351, label %373

351:                                             
  %352 = add i32 %321, 32
  %353 = icmp ult i32 %352, %198
  br i1 %353, label %320, label %354

354:                                             
  %355 = phi i32 [ %361, %354 ], [ 0, %351 ]
  %356 = sub i32 %198, %355
  %357 = icmp ugt i32 %356, 31
  %358 = shl nsw i32 -1, %356
  %359 = xor i32 %358, -1
  %360 = select i1 %357, i32 -1, i32 %359
  call fastcc void @warp_operation(ptr %4, ptr %211, i32 %355, i32 %360)
  %361 = add i32 %355, 32
  %362 = icmp ult i32 %361, %198
  br i1 %362, label %354, label %363

363:                                             
  %364 = load i64, ptr %46, align 8
  br label %365

365:                                             
  %366 = phi i64 [ %364, %363 ], [ %135, %314 ]
  %367 = getelementptr inbounds i8, ptr %211, i64 4
  %368 = load i32, ptr %367, align 4
  %369 = zext i32 %368 to i64
  %370 = zext i32 %198 to i64
  %371 = mul nsw i64 %369, %370
  %372 = sub nsw i64 %366, %371
  br label %703

373:                                             
  %374 = icmp eq i32 %139, 0
  br i1 %374, label %451, label %375

375:                                             
  %376 = zext i32 %139 to i64
  br label %377

377:                                             
  %378 = phi i64 [ 0, %375 ], [ %432, %431 ]
  %379 = getelementptr inbounds i32, ptr %6, i64 %378
  %380 = load i32, ptr %379, align 4
  %381 = icmp eq i32 %380, -1
  br i1 %381, label %431, label %382

382:                                             
  %383 = zext i32 %380 to i64
  %384 = getelementptr inbounds %struct.Stop, ptr %2, i64 %383
  %385 = load i32, ptr %384, align 4
  %386 = icmp eq i32 %385, 25
  br i1 %386, label %387, label %431

387:                                             
  %388 = trunc i64 %378 to i32
  %389 = getelementptr inbounds i8, ptr %384, i64 4
  %390 = getelementptr inbounds ptr, ptr %1, i64 %383
  br label %391

391:                                             
  %392 = phi i32 [ %388, %387 ], [ %409, %408 ]
  %393 = load i32, ptr %47, align 4
  %394 = icmp eq i32 %393, 0
  br i1 %394, label %395, label %727

395:                                             
  %396 = load i64, ptr %46, align 8
  %397 = icmp slt i64 %396, 0
  br i1 %397, label %398, label %399

398:                                             
  store i32 2, ptr %47, align 4
  br label %727

399:                                             
  %400 = zext i32 %392 to i64
  %401 = getelementptr inbounds i32, ptr %6, i64 %400
  %402 = load i32, ptr %401, align 4
  %403 = icmp eq i32 %402, %380
  %404 = add i32 %392, 1
  br i1 %403, label %405, label %408

405:                                             
  %406 = tail call i32 @llvm.umax.i32(i32 %139, i32 %404)
  %407 = add i32 %406, -1
  br label %411

408:                                             
  %409 = phi i32 [ %421, %420 ], [ %404, %399 ]
  %410 = icmp ult i32 %409, %139
  br i1 %410, label %391, label %709

411:                                             
  %412 = phi i32 [ %415, %414 ], [ %392, %405 ]
  %413 = icmp eq i32 %412, %407
  br i1 %413, label %420, label %414

414:                                             
  %415 = add i32 %412, 1
  %416 = zext i32 %415 to i64
  %417 = getelementptr inbounds i32, ptr %6, i64 %416
  %418 = load i32, ptr %417, align 4
  %419 = icmp eq i32 %418, %380
  br i1 %419, label %411, label %420

420:                                             
  %421 = phi i32 [ %406, %411 ], [ %415, %414 ]
  %422 = load i32, ptr %389, align 4
  %423 = zext i32 %422 to i64
  %424 = sub i32 %421, %392
  %425 = zext i32 %424 to i64
  %426 = mul nsw i64 %423, %425
  %427 = sub nsw i64 %396, %426
  store i64 %427, ptr %46, align 8
  %428 = load ptr, ptr %390, align 8
  %429 = load ptr, ptr %5, align 8
  %430 = load ptr, ptr %0, align 8
  tail call void %428(ptr %0, ptr %429, ptr %430, i32 %392, i32 %421)
  br label %408

431:                                             
  %432 = add nsw i64 %378, 1
  %433 = icmp eq i64 %432, %376
  br i1 %433, label %434, label %377

434:                                             
  %435 = phi i64 [ %446, %445 ], [ 0, %431 ]
  %436 = getelementptr inbounds i32, ptr %6, i64 %435
  %437 = load i32, ptr %436, align 4
  %438 = icmp eq i32 %437, -1
  br i1 %438, label %445, label %439

439:                                             
  %440 = zext i32 %437 to i64
  %441 = getelementptr inbounds %struct.Stop, ptr %2, i64 %440
  %442 = load i32, ptr %441, align 4
  %443 = add i32 %442, -5
  %444 = icmp ult i32 %443, -4
  br i1 %444, label %493, label %445

445:                                             
  %446 = add nsw i64 %435, 1
  %447 = icmp eq i64 %446, %376
  br i1 %447, label %448, label %434

448:                                             
  %449 = load i32, ptr %35, align 8
  %450 = icmp eq i32 %449, 0
  br i1 %450, label %458, label %454

451:                                             
  %452 = load i32, ptr %35, align 8
  %453 = icmp eq i32 %452, 0
  br i1 %453, label %709, label %454

454:                                             
  %455 = getelementptr inbounds %struct.Stop, ptr %2, i64 %201
  %456 = getelementptr inbounds i8, ptr %455, i64 8
  %457 = load i32, ptr %456, align 4
  store i32 8, ptr %47, align 4
  store i32 0, ptr %48, align 8
  store i32 %457, ptr %49, align 8
  br label %727

458:                                             
  %459 = phi i64 [ %463, %458 ], [ 0, %448 ]
  %460 = getelementptr inbounds i32, ptr %6, i64 %459
  %461 = load i32, ptr %460, align 4
  %462 = getelementptr inbounds i32, ptr %23, i64 %459
  store i32 %461, ptr %462, align 4
  %463 = add nsw i64 %459, 1
  %464 = icmp eq i64 %463, %376
  br i1 %464, label %465, label %458

465:                                             
  %466 = phi i64 [ %491, %490 ], [ 0, %458 ]
  %467 = trunc i64 %466 to i32
  %468 = load i32, ptr %47, align 4
  %469 = icmp eq i32 %468, 0
  br i1 %469, label %470, label %727

470:                                             
  %471 = load i64, ptr %46, align 8
  %472 = icmp slt i64 %471, 0
  br i1 %472, label %473, label %474

473:                                             
  store i32 2, ptr %47, align 4
  br label %727

474:                                             
  %475 = getelementptr inbounds i32, ptr %23, i64 %466
  %476 = load i32, ptr %475, align 4
  %477 = icmp eq i32 %476, -1
  br i1 %477, label %490, label %478

478:                                             
  %479 = add i32 %467, 1
  %480 = zext i32 %476 to i64
  %481 = getelementptr inbounds %struct.Stop, ptr %2, i64 %480
  %482 = getelementptr inbounds i8, ptr %481, i64 4
  %483 = load i32, ptr %482, align 4
  %484 = zext i32 %483 to i64
  %485 = sub nsw i64 %471, %484
  store i64 %485, ptr %46, align 8
  %486 = getelementptr inbounds ptr, ptr %1, i64 %480
  %487 = load ptr, ptr %486, align 8
  %488 = load ptr, ptr %5, align 8
  %489 = load ptr, ptr %0, align 8
  tail call void %487(ptr %0, ptr %488, ptr %489, i32 %467, i32 %479)
  br label %490

490:                                             
  %491 = add nsw i64 %466, 1
  %492 = icmp eq i64 %491, %376
  br i1 %492, label %709, label %465

493:                                             
  %494 = phi i32 [ %688, %687 ], [ 0, %439 ]
  %495 = phi i32 [ %689, %687 ], [ 0, %439 ]
  %496 = phi i32 [ %691, %687 ], [ 1, %439 ]
  %497 = phi i32 [ %690, %687 ], [ 0, %439 ]
  %498 = phi i32 [ %499, %687 ], [ 0, %439 ]
  %499 = add i32 %498, 32
  %500 = tail call i32 @llvm.umin.i32(i32 %499, i32 %139)
  %501 = icmp eq i32 %495, 0
  br i1 %501, label %502, label %682

502:                                             
  %503 = icmp ult i32 %498, %500
  %504 = zext i32 %498 to i64
  %505 = zext i32 %500 to i64
  br label %506

506:                                             
  %507 = phi i32 [ %494, %502 ], [ 0, %679 ]
  %508 = phi i32 [ %497, %502 ], [ 1, %679 ]
  %509 = load i64, ptr %46, align 8
  %510 = icmp slt i64 %509, 0
  br i1 %510, label %511, label %512

511:                                             
  store i32 2, ptr %47, align 4
  br label %682

512:                                             
  br i1 %503, label %517, label %513

513:                                             
  %514 = phi i32 [ 0, %512 ], [ %537, %536 ]
  %515 = phi i32 [ 0, %512 ], [ %538, %536 ]
  %516 = icmp eq i32 %514, 0
  br label %541

517:                                             
  %518 = phi i64 [ %539, %536 ], [ %504, %512 ]
  %519 = phi i32 [ %538, %536 ], [ 0, %512 ]
  %520 = phi i32 [ %537, %536 ], [ 0, %512 ]
  %521 = getelementptr inbounds i32, ptr %6, i64 %518
  %522 = load i32, ptr %521, align 4
  %523 = icmp eq i32 %522, -1
  br i1 %523, label %536, label %524

524:                                             
  %525 = trunc i64 %518 to i32
  %526 = sub i32 %525, %498
  %527 = shl i32 1, %526
  %528 = or i32 %527, %519
  %529 = zext i32 %522 to i64
  %530 = getelementptr inbounds %struct.Stop, ptr %2, i64 %529
  %531 = load i32, ptr %530, align 4
  %532 = add i32 %531, -5
  %533 = icmp ult i32 %532, -4
  %534 = select i1 %533, i32 %527, i32 0
  %535 = or i32 %534, %520
  br label %536

536:                                             
  %537 = phi i32 [ %535, %524 ], [ %520, %517 ]
  %538 = phi i32 [ %528, %524 ], [ %519, %517 ]
  %539 = add nsw i64 %518, 1
  %540 = icmp eq i64 %539, %505
  br i1 %540, label %513, label %517

541:                                             
  %542 = phi i32 [ %569, %563 ], [ %514, %513 ]
  %543 = icmp eq i32 %542, 0
  br i1 %543, label %682, label %544

544:                                             
  %545 = tail call i32 @llvm.cttz.i32(i32 %542, i1 true)
  %546 = or i32 %545, %498
  %547 = zext i32 %546 to i64
  %548 = getelementptr inbounds i32, ptr %6, i64 %547
  %549 = load i32, ptr %548, align 4
  %550 = zext i32 %549 to i64
  %551 = getelementptr inbounds %struct.Stop, ptr %2, i64 %550
  %552 = load i32, ptr %551, align 4
  %553 = and i32 %552, -2
  %554 = icmp eq i32 %553, 24
  %555 = getelementptr inbounds i8, ptr %551, i64 12
  %556 = load i32, ptr %555, align 4
  %557 = and i32 %556, 4
  %558 = icmp eq i32 %557, 0
  %559 = getelementptr inbounds i8, ptr %551, i64 24
  %560 = getelementptr inbounds i32, ptr %17, i64 %547
  %561 = select i1 %558, ptr %560, ptr %559
  %562 = load i32, ptr %561, align 4
  br i1 %516, label %563, label %574

563:                                             
  %564 = phi i32 [ 0, %544 ], [ %606, %605 ]
  %565 = phi i32 [ 0, %544 ], [ %607, %605 ]
  %566 = and i32 %562, %515
  %567 = select i1 %554, i32 %564, i32 %566
  %568 = xor i32 %564, -1
  %569 = and i32 %542, %568
  %570 = and i32 %565, %567
  %571 = icmp ne i32 %570, %567
  %572 = icmp eq i32 %567, 0
  %573 = or i1 %572, %571
  br i1 %573, label %541, label %611

574:                                             
  %575 = phi i32 [ %609, %605 ], [ %514, %544 ]
  %576 = phi i32 [ %607, %605 ], [ 0, %544 ]
  %577 = phi i32 [ %606, %605 ], [ 0, %544 ]
  %578 = tail call i32 @llvm.cttz.i32(i32 %575, i1 true)
  %579 = or i32 %578, %498
  %580 = zext i32 %579 to i64
  %581 = getelementptr inbounds i32, ptr %6, i64 %580
  %582 = load i32, ptr %581, align 4
  %583 = zext i32 %582 to i64
  br i1 %554, label %595, label %584

584:                                             
  %585 = getelementptr inbounds %struct.Stop, ptr %2, i64 %583
  %586 = getelementptr inbounds i8, ptr %585, i64 12
  %587 = load i32, ptr %586, align 4
  %588 = and i32 %587, 4
  %589 = icmp eq i32 %588, 0
  %590 = getelementptr inbounds i8, ptr %585, i64 24
  %591 = getelementptr inbounds i32, ptr %17, i64 %580
  %592 = select i1 %589, ptr %591, ptr %590
  %593 = load i32, ptr %592, align 4
  %594 = icmp eq i32 %593, %562
  br i1 %594, label %595, label %605

595:                                             
  %596 = icmp eq i32 %582, %549
  %597 = shl i32 1, %578
  %598 = select i1 %596, i32 %597, i32 0
  %599 = or i32 %598, %577
  %600 = getelementptr inbounds %struct.Stop, ptr %2, i64 %583
  %601 = load i32, ptr %600, align 4
  %602 = icmp eq i32 %601, %552
  %603 = select i1 %602, i32 %597, i32 0
  %604 = or i32 %603, %576
  br label %605

605:                                             
  %606 = phi i32 [ %577, %584 ], [ %599, %595 ]
  %607 = phi i32 [ %576, %584 ], [ %604, %595 ]
  %608 = add i32 %575, -1
  %609 = and i32 %608, %575
  %610 = icmp eq i32 %609, 0
  br i1 %610, label %563, label %574

611:                                             
  call fastcc void @warp_operation(ptr %4, ptr %551, i32 %498, i32 %567)
  br i1 %503, label %612, label %619

612:                                             
  %613 = phi i64 [ %617, %612 ], [ %504, %611 ]
  %614 = getelementptr inbounds i32, ptr %6, i64 %613
  %615 = load i32, ptr %614, align 4
  %616 = getelementptr inbounds i32, ptr %23, i64 %613
  store i32 %615, ptr %616, align 4
  %617 = add nsw i64 %613, 1
  %618 = icmp eq i64 %617, %505
  br i1 %618, label %619, label %612

619:                                             
  br label %620

620:                                             
  %621 = phi i32 [ %677, %658 ], [ %567, %619 ]
  %622 = load i32, ptr %47, align 4
  %623 = icmp eq i32 %622, 0
  br i1 %623, label %624, label %692

624:                                             
  %625 = load i64, ptr %46, align 8
  %626 = icmp slt i64 %625, 0
  br i1 %626, label %627, label %628

627:                                             
  store i32 2, ptr %47, align 4
  br label %692

628:                                             
  %629 = tail call i32 @llvm.cttz.i32(i32 %621, i1 true)
  %630 = or i32 %629, %498
  %631 = add i32 %630, 1
  %632 = icmp ult i32 %631, %500
  %633 = zext i32 %630 to i64
  br i1 %632, label %634, label %658

634:                                             
  %635 = add i32 %629, %496
  %636 = zext i32 %635 to i64
  %637 = getelementptr inbounds i32, ptr %23, i64 %633
  br label %638

638:                                             
  %639 = phi i64 [ %636, %634 ], [ %656, %651 ]
  %640 = phi i32 [ %621, %634 ], [ %655, %651 ]
  %641 = trunc i64 %639 to i32
  %642 = sub i32 %641, %498
  %643 = shl i32 1, %642
  %644 = and i32 %643, %640
  %645 = icmp eq i32 %644, 0
  br i1 %645, label %658, label %646

646:                                             
  %647 = getelementptr inbounds i32, ptr %23, i64 %639
  %648 = load i32, ptr %647, align 4
  %649 = load i32, ptr %637, align 4
  %650 = icmp eq i32 %648, %649
  br i1 %650, label %651, label %658

651:                                             
  %652 = add i32 %642, -1
  %653 = shl i32 1, %652
  %654 = xor i32 %653, -1
  %655 = and i32 %640, %654
  %656 = add nsw i64 %639, 1
  %657 = icmp ult i64 %656, %505
  br i1 %657, label %638, label %658

658:                                             
  %659 = phi i32 [ %621, %628 ], [ %640, %646 ], [ %655, %651 ], [ %640, %638 ]
  %660 = phi i32 [ %631, %628 ], [ %641, %646 ], [ %500, %651 ], [ %641, %638 ]
  %661 = getelementptr inbounds i32, ptr %23, i64 %633
  %662 = load i32, ptr %661, align 4
  %663 = zext i32 %662 to i64
  %664 = getelementptr inbounds %struct.Stop, ptr %2, i64 %663
  %665 = getelementptr inbounds i8, ptr %664, i64 4
  %666 = load i32, ptr %665, align 4
  %667 = zext i32 %666 to i64
  %668 = sub i32 %660, %630
  %669 = zext i32 %668 to i64
  %670 = mul nsw i64 %667, %669
  %671 = sub nsw i64 %625, %670
  store i64 %671, ptr %46, align 8
  %672 = getelementptr inbounds ptr, ptr %1, i64 %663
  %673 = load ptr, ptr %672, align 8
  %674 = load ptr, ptr %5, align 8
  %675 = load ptr, ptr %0, align 8
  tail call void %673(ptr %0, ptr %674, ptr %675, i32 %630, i32 %660)
  %676 = add i32 %659, -1
  %677 = and i32 %676, %659
  %678 = icmp eq i32 %677, 0
  br i1 %678, label %679, label %620

679:                                             
  %680 = load i32, ptr %47, align 4
  %681 = icmp eq i32 %680, 0
  br i1 %681, label %506, label %692

682:                                             
  %683 = phi i32 [ %494, %493 ], [ 2, %511 ], [ %507, %541 ]
  %684 = phi i32 [ %495, %493 ], [ 2, %511 ], [ 0, %541 ]
  %685 = phi i32 [ %497, %493 ], [ %508, %511 ], [ %508, %541 ]
  %686 = icmp ult i32 %499, %139
  br i1 %686, label %687, label %695

687:                                             
  %688 = phi i32 [ %683, %682 ], [ %693, %692 ]
  %689 = phi i32 [ %684, %682 ], [ %693, %692 ]
  %690 = phi i32 [ %685, %682 ], [ 1, %692 ]
  %691 = add i32 %496, 32
  br label %493

692:                                             
  %693 = phi i32 [ %622, %620 ], [ 2, %627 ], [ %680, %679 ]
  %694 = icmp ult i32 %499, %139
  br i1 %694, label %687, label %709

695:                                             
  %696 = icmp eq i32 %685, 0
  %697 = icmp eq i32 %683, 0
  %698 = select i1 %696, i1 %697, i1 false
  br i1 %698, label %699, label %709

699:                                             
  %700 = getelementptr inbounds %struct.Stop, ptr %2, i64 %201
  %701 = getelementptr inbounds i8, ptr %700, i64 8
  %702 = load i32, ptr %701, align 4
  store i32 1, ptr %47, align 4
  store i32 0, ptr %48, align 8
  store i32 %702, ptr %49, align 8
  br label %727

703:                                             
  %704 = phi i64 [ %268, %261 ], [ %372, %365 ]
  store i64 %704, ptr %46, align 8
  %705 = getelementptr inbounds ptr, ptr %1, i64 %201
  %706 = load ptr, ptr %705, align 8
  %707 = load ptr, ptr %5, align 8
  %708 = load ptr, ptr %0, align 8
  tail call void %706(ptr %0, ptr %707, ptr %708, i32 0, i32 %198)
  br label %709

709:                                             
  %710 = load i32, ptr %47, align 4
  %711 = icmp eq i32 %710, 0
  br i1 %711, label %133, label %727

712:                                             
  %713 = load i32, ptr %31, align 4
  br label %714

714:                                             
  %715 = phi i32 [ %713, %712 ], [ %60, %59 ]
  %716 = phi i32 [ %66, %712 ], [ 0, %59 ]
  %717 = add i32 %62, 1
  %718 = icmp ult i32 %717, %715
  br i1 %718, label %59, label %719

719:                                             
  %720 = load i32, ptr %27, align 8
  br label %721

721:                                             
  %722 = phi i32 [ %720, %719 ], [ %52, %51 ]
  %723 = phi i32 [ %715, %719 ], [ %53, %51 ]
  %724 = phi i32 [ %715, %719 ], [ 0, %51 ]
  %725 = add i32 %55, 1
  %726 = icmp ult i32 %725, %722
  br i1 %726, label %51, label %727

727:                                             
  %728 = phi i32 [ 0, %3 ], [ %275, %273 ], [ 2, %137 ], [ %710, %709 ], [ %131, %120 ], [ 1, %699 ], [ 8, %454 ], [ 2, %398 ], [ 2, %280 ], [ 2, %473 ], [ %393, %391 ], [ %468, %465 ], [ 0, %721 ]
  ret i32 %728
}

declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

declare void @llvm.memcpy.p0.p0.i64(ptr noalias, ptr noalias, i64, i1)

define internal fastcc void @warp_operation(ptr %0, ptr %1, i32 %2, i32 %3) unnamed_addr {
  %5 = alloca [32 x i32], align 16
  %6 = load i32, ptr %1, align 4
  %7 = icmp eq i32 %6, 25
  br i1 %7, label %276, label %8

8:                                               
  %9 = add i32 %6, -5
  %10 = icmp ult i32 %9, 4
  br i1 %10, label %11, label %70

11:                                              
  %12 = icmp eq i32 %3, -1
  br i1 %12, label %13, label %69

13:                                              
  %14 = getelementptr inbounds i8, ptr %1, i64 12
  %15 = load i32, ptr %14, align 4
  %16 = and i32 %15, 3
  %17 = icmp eq i32 %16, 3
  br i1 %17, label %18, label %69

18:                                              
  %19 = getelementptr inbounds i8, ptr %0, i64 32
  %20 = load ptr, ptr %19, align 8
  %21 = zext i32 %2 to i64
  %22 = getelementptr inbounds i32, ptr %20, i64 %21
  %23 = getelementptr inbounds i8, ptr %0, i64 64
  %24 = load ptr, ptr %23, align 8
  %25 = getelementptr inbounds i32, ptr %24, i64 %21
  %26 = getelementptr inbounds i8, ptr %0, i64 72
  %27 = load ptr, ptr %26, align 8
  %28 = getelementptr inbounds i32, ptr %27, i64 %21
  %29 = getelementptr inbounds i8, ptr %1, i64 16
  %30 = load i32, ptr %29, align 4
  %31 = and i32 %30, 31
  switch i32 %6, label %68 [
    i32 7, label %32
    i32 6, label %47
  ]

32:                                              
  %33 = getelementptr inbounds i8, ptr %1, i64 20
  %34 = load i32, ptr %33, align 4
  %35 = icmp eq i32 %34, 31
  br i1 %35, label %36, label %68

36:                                              
  %37 = phi i64 [ %45, %36 ], [ 0, %32 ]
  %38 = trunc nsw i64 %37 to i32
  %39 = xor i32 %31, %38
  %40 = zext i32 %39 to i64
  %41 = getelementptr inbounds i32, ptr %22, i64 %40
  %42 = load i32, ptr %41, align 4
  %43 = getelementptr inbounds i32, ptr %25, i64 %37
  store i32 %42, ptr %43, align 4
  %44 = getelementptr inbounds i32, ptr %28, i64 %37
  store i32 1, ptr %44, align 4
  %45 = add nsw i64 %37, 1
  %46 = icmp eq i64 %45, 32
  br i1 %46, label %276, label %36

47:                                              
  %48 = getelementptr inbounds i8, ptr %1, i64 20
  %49 = load i32, ptr %48, align 4
  %50 = icmp eq i32 %49, 31
  br i1 %50, label %51, label %68

51:                                              
  %52 = sub nsw i32 32, %31
  %53 = zext i32 %52 to i64
  br label %54

54:                                              
  %55 = phi i64 [ 0, %51 ], [ %66, %54 ]
  %56 = trunc i64 %55 to i32
  %57 = icmp ult i64 %55, %53
  %58 = zext i1 %57 to i32
  %59 = select i1 %57, i32 %31, i32 0
  %60 = add nsw i32 %59, %56
  %61 = zext i32 %60 to i64
  %62 = getelementptr inbounds i32, ptr %22, i64 %61
  %63 = load i32, ptr %62, align 4
  %64 = getelementptr inbounds i32, ptr %25, i64 %55
  store i32 %63, ptr %64, align 4
  %65 = getelementptr inbounds i32, ptr %28, i64 %55
  store i32 %58, ptr %65, align 4
  %66 = add nsw i64 %55, 1
  %67 = icmp eq i64 %66, 32
  br i1 %67, label %276, label %54

68:                                              
  tail call fastcc void @shuffle(ptr %0, ptr %1, i32 %2, i32 -1)
  br label %276

69:                                              
  tail call fastcc void @shuffle(ptr %0, ptr %1, i32 %2, i32 %3)
  br label %276

70:                                              
  %71 = and i32 %6, -2
  %72 = icmp eq i32 %71, 14
  br i1 %72, label %73, label %138

73:                                              
  %74 = getelementptr inbounds i8, ptr %0, i64 32
  %75 = load ptr, ptr %74, align 8
  %76 = tail call i32 @llvm.cttz.i32(i32 %3, i1 true)
  %77 = add i32 %76, %2
  %78 = zext i32 %77 to i64
  %79 = getelementptr inbounds i32, ptr %75, i64 %78
  %80 = load i32, ptr %79, align 4
  %81 = icmp eq i32 %3, 0
  br i1 %81, label %276, label %82

82:                                              
  %83 = getelementptr inbounds i8, ptr %0, i64 64
  br label %91

84:                                              
  %85 = load i32, ptr %1, align 4
  %86 = icmp eq i32 %85, 15
  br i1 %86, label %87, label %276

87:                                              
  %88 = icmp eq i32 %107, 0
  %89 = select i1 %88, i32 0, i32 %3
  %90 = getelementptr inbounds i8, ptr %0, i64 72
  br label %126

91:                                              
  %92 = phi ptr [ %75, %82 ], [ %103, %100 ]
  %93 = phi i32 [ 1, %82 ], [ %107, %100 ]
  %94 = phi i32 [ %3, %82 ], [ %109, %100 ]
  %95 = tail call i32 @llvm.cttz.i32(i32 %94, i1 true)
  %96 = add i32 %95, %2
  %97 = zext i32 %96 to i64
  %98 = getelementptr inbounds i32, ptr %92, i64 %97
  %99 = load i32, ptr %98, align 4
  br label %111

100:                                             
  %101 = load ptr, ptr %83, align 8
  %102 = getelementptr inbounds i32, ptr %101, i64 %97
  store i32 %122, ptr %102, align 4
  %103 = load ptr, ptr %74, align 8
  %104 = getelementptr inbounds i32, ptr %103, i64 %97
  %105 = load i32, ptr %104, align 4
  %106 = icmp eq i32 %105, %80
  %107 = select i1 %106, i32 %93, i32 0
  %108 = add i32 %94, -1
  %109 = and i32 %108, %94
  %110 = icmp eq i32 %109, 0
  br i1 %110, label %84, label %91

111:                                             
  %112 = phi i32 [ %3, %91 ], [ %124, %111 ]
  %113 = phi i32 [ 0, %91 ], [ %122, %111 ]
  %114 = tail call i32 @llvm.cttz.i32(i32 %112, i1 true)
  %115 = add i32 %114, %2
  %116 = zext i32 %115 to i64
  %117 = getelementptr inbounds i32, ptr %92, i64 %116
  %118 = load i32, ptr %117, align 4
  %119 = icmp eq i32 %118, %99
  %120 = shl i32 1, %114
  %121 = select i1 %119, i32 %120, i32 0
  %122 = or i32 %121, %113
  %123 = add i32 %112, -1
  %124 = and i32 %123, %112
  %125 = icmp eq i32 %124, 0
  br i1 %125, label %100, label %111

126:                                             
  %127 = phi i32 [ %3, %87 ], [ %136, %126 ]
  %128 = tail call i32 @llvm.cttz.i32(i32 %127, i1 true)
  %129 = add i32 %128, %2
  %130 = load ptr, ptr %83, align 8
  %131 = zext i32 %129 to i64
  %132 = getelementptr inbounds i32, ptr %130, i64 %131
  store i32 %89, ptr %132, align 4
  %133 = load ptr, ptr %90, align 8
  %134 = getelementptr inbounds i32, ptr %133, i64 %131
  store i32 %107, ptr %134, align 4
  %135 = add i32 %127, -1
  %136 = and i32 %135, %127
  %137 = icmp eq i32 %136, 0
  br i1 %137, label %276, label %126

138:                                             
  switch i32 %6, label %199 [
    i32 13, label %143
    i32 24, label %139
  ]

139:                                             
  %140 = icmp eq i32 %3, 0
  br i1 %140, label %276, label %141

141:                                             
  %142 = getelementptr inbounds i8, ptr %0, i64 64
  br label %189

143:                                             
  %144 = load ptr, ptr %0, align 8
  %145 = getelementptr inbounds i8, ptr %144, i64 144
  %146 = load i32, ptr %145, align 8
  %147 = icmp eq i32 %146, 0
  br i1 %147, label %276, label %148

148:                                             
  call void @llvm.memset.p0.i64(ptr align 16 dereferenceable(128) %5, i8 0, i64 128, i1 false)
  %149 = icmp eq i32 %3, 0
  br i1 %149, label %188, label %150

150:                                             
  %151 = getelementptr inbounds i8, ptr %144, i64 40
  %152 = load ptr, ptr %151, align 8
  br label %153

153:                                             
  %154 = phi i32 [ %3, %150 ], [ %162, %160 ]
  %155 = tail call i32 @llvm.cttz.i32(i32 %154, i1 true)
  %156 = add i32 %155, %2
  %157 = zext i32 %156 to i64
  %158 = shl nsw i64 %157, 7
  %159 = getelementptr inbounds i8, ptr %152, i64 %158
  br label %164

160:                                             
  %161 = add i32 %154, -1
  %162 = and i32 %161, %154
  %163 = icmp eq i32 %162, 0
  br i1 %163, label %173, label %153

164:                                             
  %165 = phi i64 [ 0, %153 ], [ %171, %164 ]
  %166 = getelementptr inbounds i32, ptr %159, i64 %165
  %167 = load i32, ptr %166, align 4
  %168 = getelementptr inbounds i32, ptr %5, i64 %165
  %169 = load i32, ptr %168, align 4
  %170 = tail call i32 @llvm.umax.i32(i32 %167, i32 %169)
  store i32 %170, ptr %168, align 4
  %171 = add nsw i64 %165, 1
  %172 = icmp eq i64 %171, 32
  br i1 %172, label %160, label %164

173:                                             
  %174 = phi i32 [ %186, %173 ], [ %3, %160 ]
  %175 = tail call i32 @llvm.cttz.i32(i32 %174, i1 true)
  %176 = add i32 %175, %2
  %177 = load ptr, ptr %151, align 8
  %178 = zext i32 %176 to i64
  %179 = shl nsw i64 %178, 7
  %180 = getelementptr inbounds i8, ptr %177, i64 %179
  call void @llvm.memcpy.p0.p0.i64(ptr align 4 dereferenceable(128) %180, ptr align 16 dereferenceable(128) %5, i64 128, i1 false)
  %181 = zext i32 %175 to i64
  %182 = getelementptr inbounds i32, ptr %180, i64 %181
  %183 = load i32, ptr %182, align 4
  %184 = add i32 %183, 1
  store i32 %184, ptr %182, align 4
  %185 = add i32 %174, -1
  %186 = and i32 %185, %174
  %187 = icmp eq i32 %186, 0
  br i1 %187, label %188, label %173

188:                                             
  br label %276

189:                                             
  %190 = phi i32 [ %3, %141 ], [ %197, %189 ]
  %191 = load ptr, ptr %142, align 8
  %192 = tail call i32 @llvm.cttz.i32(i32 %190, i1 true)
  %193 = add i32 %192, %2
  %194 = zext i32 %193 to i64
  %195 = getelementptr inbounds i32, ptr %191, i64 %194
  store i32 %3, ptr %195, align 4
  %196 = add i32 %190, -1
  %197 = and i32 %196, %190
  %198 = icmp eq i32 %197, 0
  br i1 %198, label %276, label %189

199:                                             
  %200 = getelementptr inbounds i8, ptr %0, i64 32
  %201 = load ptr, ptr %200, align 8
  %202 = tail call i32 @llvm.cttz.i32(i32 %3, i1 true)
  %203 = add i32 %202, %2
  %204 = zext i32 %203 to i64
  %205 = getelementptr inbounds i32, ptr %201, i64 %204
  %206 = load i32, ptr %205, align 4
  %207 = icmp eq i32 %3, 0
  br i1 %207, label %208, label %211

208:                                             
  %209 = phi i32 [ %206, %199 ], [ %242, %241 ]
  %210 = phi i32 [ 0, %199 ], [ %222, %241 ]
  switch i32 %6, label %257 [
    i32 12, label %258
    i32 9, label %246
    i32 10, label %249
    i32 11, label %252
  ]

211:                                             
  %212 = phi i32 [ %222, %241 ], [ 0, %199 ]
  %213 = phi i32 [ %242, %241 ], [ %206, %199 ]
  %214 = phi i32 [ %244, %241 ], [ %3, %199 ]
  %215 = tail call i32 @llvm.cttz.i32(i32 %214, i1 true)
  %216 = add i32 %215, %2
  %217 = zext i32 %216 to i64
  %218 = getelementptr inbounds i32, ptr %201, i64 %217
  %219 = load i32, ptr %218, align 4
  %220 = and i32 %219, 1
  %221 = shl i32 %220, %215
  %222 = or i32 %221, %212
  %223 = icmp eq i32 %214, %3
  br i1 %223, label %241, label %224

224:                                             
  switch i32 %6, label %241 [
    i32 16, label %225
    i32 17, label %227
    i32 18, label %229
    i32 19, label %231
    i32 20, label %233
    i32 21, label %235
    i32 22, label %237
    i32 23, label %239
  ]

225:                                             
  %226 = add i32 %219, %213
  br label %241

227:                                             
  %228 = and i32 %219, %213
  br label %241

229:                                             
  %230 = or i32 %219, %213
  br label %241

231:                                             
  %232 = xor i32 %219, %213
  br label %241

233:                                             
  %234 = tail call i32 @llvm.umin.i32(i32 %213, i32 %219)
  br label %241

235:                                             
  %236 = tail call i32 @llvm.umax.i32(i32 %213, i32 %219)
  br label %241

237:                                             
  %238 = tail call i32 @llvm.smin.i32(i32 %213, i32 %219)
  br label %241

239:                                             
  %240 = tail call i32 @llvm.smax.i32(i32 %213, i32 %219)
  br label %241

241:                                             
  %242 = phi i32 [ %213, %211 ], [ %240, %239 ], [ %226, %225 ], [ %228, %227 ], [ %230, %229 ], [ %232, %231 ], [ %234, %233 ], [ %236, %235 ], [ %238, %237 ], [ %219, %224 ]
  %243 = add i32 %214, -1
  %244 = and i32 %243, %214
  %245 = icmp eq i32 %244, 0
  br i1 %245, label %208, label %211

246:                                             
  %247 = icmp ne i32 %210, 0
  %248 = zext i1 %247 to i32
  br label %258

249:                                             
  %250 = icmp eq i32 %210, %3
  %251 = zext i1 %250 to i32
  br label %258

252:                                             
  %253 = icmp eq i32 %210, 0
  %254 = icmp eq i32 %210, %3
  %255 = or i1 %253, %254
  %256 = zext i1 %255 to i32
  br label %258

257:                                             
  br label %258

258:                                             
  %259 = phi i32 [ %209, %257 ], [ %248, %246 ], [ %251, %249 ], [ %256, %252 ], [ %210, %208 ]
  br i1 %207, label %276, label %260

260:                                             
  %261 = getelementptr inbounds i8, ptr %0, i64 64
  %262 = and i32 %259, 1
  %263 = getelementptr inbounds i8, ptr %0, i64 72
  br label %264

264:                                             
  %265 = phi i32 [ %3, %260 ], [ %274, %264 ]
  %266 = tail call i32 @llvm.cttz.i32(i32 %265, i1 true)
  %267 = add i32 %266, %2
  %268 = load ptr, ptr %261, align 8
  %269 = zext i32 %267 to i64
  %270 = getelementptr inbounds i32, ptr %268, i64 %269
  store i32 %259, ptr %270, align 4
  %271 = load ptr, ptr %263, align 8
  %272 = getelementptr inbounds i32, ptr %271, i64 %269
  store i32 %262, ptr %272, align 4
  %273 = add i32 %265, -1
  %274 = and i32 %273, %265
  %275 = icmp eq i32 %274, 0
  br i1 %275, label %276, label %264

276:                                             
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
  %73 = getelementptr inbounds i8, ptr %72, i64 144
  %74 = load i32, ptr %73, align 8
  %75 = icmp eq i32 %74, 0
  br i1 %75, label %84, label %76

76:                                              
  %77 = getelementptr inbounds i8, ptr %72, i64 140
  %78 = load i32, ptr %77, align 4
  %79 = icmp eq i32 %78, 0
  br i1 %79, label %80, label %84

80:                                              
  %81 = load i32, ptr %12, align 4
  store i32 9, ptr %77, align 4
  %82 = getelementptr inbounds i8, ptr %72, i64 168
  store i32 %20, ptr %82, align 8
  %83 = getelementptr inbounds i8, ptr %72, i64 176
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
