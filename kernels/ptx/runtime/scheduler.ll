; of scheduler.c with SHA-256 3c8561c0eaf0a1e6199cd6c315a9591e186f88ca7d90af23333d2dc5f0a8ac16
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
  br i1 %29, label %657, label %30

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
  %52 = phi i32 [ %28, %30 ], [ %652, %651 ]
  %53 = phi i32 [ %50, %30 ], [ %653, %651 ]
  %54 = phi i32 [ %50, %30 ], [ %654, %651 ]
  %55 = phi i32 [ 0, %30 ], [ %655, %651 ]
  %56 = icmp eq i32 %54, 0
  br i1 %56, label %651, label %57

57:                                              
  %58 = load i32, ptr %26, align 8
  br label %59

59:                                              
  %60 = phi i32 [ %645, %644 ], [ %53, %57 ]
  %61 = phi i32 [ %646, %644 ], [ %58, %57 ]
  %62 = phi i32 [ %647, %644 ], [ 0, %57 ]
  %63 = icmp eq i32 %61, 0
  br i1 %63, label %644, label %68

64:                                              
  %65 = add i32 %69, 1
  %66 = load i32, ptr %26, align 8
  %67 = icmp ult i32 %65, %66
  br i1 %67, label %68, label %642

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
  br i1 %132, label %133, label %657

133:                                             
  %134 = phi i32 [ %207, %639 ], [ %121, %120 ]
  %135 = load i64, ptr %46, align 8
  %136 = icmp slt i64 %135, 0
  br i1 %136, label %137, label %138

137:                                             
  store i32 2, ptr %47, align 4
  br label %657

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
  br i1 %209, label %353, label %210

210:                                             
  %211 = getelementptr inbounds %struct.Stop, ptr %2, i64 %201
  %212 = load i32, ptr %211, align 4
  %213 = add i32 %212, -5
  %214 = icmp ult i32 %213, -4
  br i1 %214, label %305, label %215

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
  br i1 %204, label %627, label %261

261:                                             
  br i1 %217, label %639, label %262

262:                                             
  %263 = getelementptr inbounds i8, ptr %211, i64 4
  %264 = getelementptr inbounds ptr, ptr %1, i64 %201
  br label %265

265:                                             
  %266 = phi i32 [ %283, %282 ], [ 0, %262 ]
  %267 = load i32, ptr %47, align 4
  %268 = icmp eq i32 %267, 0
  br i1 %268, label %269, label %657

269:                                             
  %270 = load i64, ptr %46, align 8
  %271 = icmp slt i64 %270, 0
  br i1 %271, label %272, label %273

272:                                             
  store i32 2, ptr %47, align 4
  br label %657

273:                                             
  %274 = zext i32 %266 to i64
  %275 = getelementptr inbounds i32, ptr %6, i64 %274
  %276 = load i32, ptr %275, align 4
  %277 = icmp eq i32 %276, %199
  %278 = add i32 %266, 1
  br i1 %277, label %279, label %282

279:                                             
  %280 = tail call i32 @llvm.umax.i32(i32 %139, i32 %278)
  %281 = add i32 %280, -1
  br label %285

282:                                             
  %283 = phi i32 [ %295, %294 ], [ %278, %273 ]
  %284 = icmp ult i32 %283, %139
  br i1 %284, label %265, label %639

285:                                             
  %286 = phi i32 [ %289, %288 ], [ %266, %279 ]
  %287 = icmp eq i32 %286, %281
  br i1 %287, label %294, label %288

288:                                             
  %289 = add i32 %286, 1
  %290 = zext i32 %289 to i64
  %291 = getelementptr inbounds i32, ptr %6, i64 %290
  %292 = load i32, ptr %291, align 4
  %293 = icmp eq i32 %292, %199
  br i1 %293, label %285, label %294

294:                                             
  %295 = phi i32 [ %280, %285 ], [ %289, %288 ]
  %296 = load i32, ptr %263, align 4
  %297 = zext i32 %296 to i64
  %298 = sub i32 %295, %266
  %299 = zext i32 %298 to i64
  %300 = mul nsw i64 %297, %299
  %301 = sub nsw i64 %270, %300
  store i64 %301, ptr %46, align 8
  %302 = load ptr, ptr %264, align 8
  %303 = load ptr, ptr %5, align 8
  %304 = load ptr, ptr %0, align 8
  tail call void %302(ptr %0, ptr %303, ptr %304, i32 %266, i32 %295)
  br label %282

305:                                             
  br i1 %204, label %306, label %353

306:                                             
  %307 = icmp eq i32 %212, 24
  %308 = getelementptr inbounds i8, ptr %211, i64 12
  %309 = getelementptr inbounds i8, ptr %211, i64 24
  br label %310

310:                                             
  %311 = phi i32 [ 0, %306 ], [ %342, %341 ]
  %312 = zext i32 %311 to i64
  %313 = sub i32 %198, %311
  %314 = icmp ugt i32 %313, 31
  %315 = shl nsw i32 -1, %313
  br i1 %307, label %341, label %316

316:                                             
  %317 = load i32, ptr %308, align 4
  %318 = and i32 %317, 4
  %319 = icmp eq i32 %318, 0
  br i1 %319, label %320, label %326

320:                                             
  %321 = add i32 %311, 32
  %322 = tail call i32 @llvm.umin.i32(i32 %198, i32 %321)
  %323 = icmp ult i32 %311, %322
  br i1 %323, label %324, label %336

324:                                             
  %325 = zext i32 %322 to i64
  br label %328

326:                                             
  %327 = load i32, ptr %309, align 4
  br label %336

328:                                             
  %329 = phi i64 [ %312, %324 ], [ %334, %328 ]
  %330 = phi i32 [ -1, %324 ], [ %333, %328 ]
  %331 = getelementptr inbounds i32, ptr %17, i64 %329
  %332 = load i32, ptr %331, align 4
  %333 = and i32 %332, %330
  %334 = add nsw i64 %329, 1
  %335 = icmp ult i64 %334, %325
  br i1 %335, label %328, label %336

336:                                             
  %337 = phi i32 [ %327, %326 ], [ -1, %320 ], [ %333, %328 ]
  %338 = select i1 %314, i32 0, i32 %315
  %339 = or i32 %337, %338
  %340 = icmp eq i32 %339, -1
  br i1 %340, label %341, label %353

341:                                             
  %342 = add i32 %311, 32
  %343 = icmp ult i32 %342, %198
  br i1 %343, label %310, label %344

344:                                             
  %345 = phi i32 [ %351, %344 ], [ 0, %341 ]
  %346 = sub i32 %198, %345
  %347 = icmp ugt i32 %346, 31
  %348 = shl nsw i32 -1, %346
  %349 = xor i32 %348, -1
  %350 = select i1 %347, i32 -1, i32 %349
  call fastcc void @warp_operation(ptr %4, ptr %211, i32 %345, i32 %350)
  %351 = add i32 %345, 32
  %352 = icmp ult i32 %351, %198
  br i1 %352, label %344, label %627

353:                                             
  %354 = icmp eq i32 %139, 0
  br i1 %354, label %374, label %355

355:                                             
  %356 = zext i32 %139 to i64
  br label %357

357:                                             
  %358 = phi i64 [ 0, %355 ], [ %369, %368 ]
  %359 = getelementptr inbounds i32, ptr %6, i64 %358
  %360 = load i32, ptr %359, align 4
  %361 = icmp eq i32 %360, -1
  br i1 %361, label %368, label %362

362:                                             
  %363 = zext i32 %360 to i64
  %364 = getelementptr inbounds %struct.Stop, ptr %2, i64 %363
  %365 = load i32, ptr %364, align 4
  %366 = add i32 %365, -5
  %367 = icmp ult i32 %366, -4
  br i1 %367, label %416, label %368

368:                                             
  %369 = add nsw i64 %358, 1
  %370 = icmp eq i64 %369, %356
  br i1 %370, label %371, label %357

371:                                             
  %372 = load i32, ptr %35, align 8
  %373 = icmp eq i32 %372, 0
  br i1 %373, label %381, label %377

374:                                             
  %375 = load i32, ptr %35, align 8
  %376 = icmp eq i32 %375, 0
  br i1 %376, label %639, label %377

377:                                             
  %378 = getelementptr inbounds %struct.Stop, ptr %2, i64 %201
  %379 = getelementptr inbounds i8, ptr %378, i64 8
  %380 = load i32, ptr %379, align 4
  store i32 8, ptr %47, align 4
  store i32 0, ptr %48, align 8
  store i32 %380, ptr %49, align 8
  br label %657

381:                                             
  %382 = phi i64 [ %386, %381 ], [ 0, %371 ]
  %383 = getelementptr inbounds i32, ptr %6, i64 %382
  %384 = load i32, ptr %383, align 4
  %385 = getelementptr inbounds i32, ptr %23, i64 %382
  store i32 %384, ptr %385, align 4
  %386 = add nsw i64 %382, 1
  %387 = icmp eq i64 %386, %356
  br i1 %387, label %388, label %381

388:                                             
  %389 = phi i64 [ %414, %413 ], [ 0, %381 ]
  %390 = trunc i64 %389 to i32
  %391 = load i32, ptr %47, align 4
  %392 = icmp eq i32 %391, 0
  br i1 %392, label %393, label %657

393:                                             
  %394 = load i64, ptr %46, align 8
  %395 = icmp slt i64 %394, 0
  br i1 %395, label %396, label %397

396:                                             
  store i32 2, ptr %47, align 4
  br label %657

397:                                             
  %398 = getelementptr inbounds i32, ptr %23, i64 %389
  %399 = load i32, ptr %398, align 4
  %400 = icmp eq i32 %399, -1
  br i1 %400, label %413, label %401

401:                                             
  %402 = add i32 %390, 1
  %403 = zext i32 %399 to i64
  %404 = getelementptr inbounds %struct.Stop, ptr %2, i64 %403
  %405 = getelementptr inbounds i8, ptr %404, i64 4
  %406 = load i32, ptr %405, align 4
  %407 = zext i32 %406 to i64
  %408 = sub nsw i64 %394, %407
  store i64 %408, ptr %46, align 8
  %409 = getelementptr inbounds ptr, ptr %1, i64 %403
  %410 = load ptr, ptr %409, align 8
  %411 = load ptr, ptr %5, align 8
  %412 = load ptr, ptr %0, align 8
  tail call void %410(ptr %0, ptr %411, ptr %412, i32 %390, i32 %402)
  br label %413

413:                                             
  %414 = add nsw i64 %389, 1
  %415 = icmp eq i64 %414, %356
  br i1 %415, label %639, label %388

416:                                             
  %417 = phi i32 [ %612, %611 ], [ 0, %362 ]
  %418 = phi i32 [ %613, %611 ], [ 0, %362 ]
  %419 = phi i32 [ %615, %611 ], [ 1, %362 ]
  %420 = phi i32 [ %614, %611 ], [ 0, %362 ]
  %421 = phi i32 [ %422, %611 ], [ 0, %362 ]
  %422 = add i32 %421, 32
  %423 = tail call i32 @llvm.umin.i32(i32 %422, i32 %139)
  %424 = icmp eq i32 %418, 0
  br i1 %424, label %425, label %606

425:                                             
  %426 = icmp ult i32 %421, %423
  %427 = zext i32 %421 to i64
  %428 = zext i32 %423 to i64
  br label %429

429:                                             
  %430 = phi i32 [ %417, %425 ], [ 0, %603 ]
  %431 = phi i32 [ %420, %425 ], [ 1, %603 ]
  %432 = load i64, ptr %46, align 8
  %433 = icmp slt i64 %432, 0
  br i1 %433, label %434, label %435

434:                                             
  store i32 2, ptr %47, align 4
  br label %606

435:                                             
  br i1 %426, label %440, label %436

436:                                             
  %437 = phi i32 [ 0, %435 ], [ %460, %459 ]
  %438 = phi i32 [ 0, %435 ], [ %461, %459 ]
  %439 = icmp eq i32 %437, 0
  br label %464

440:                                             
  %441 = phi i64 [ %462, %459 ], [ %427, %435 ]
  %442 = phi i32 [ %461, %459 ], [ 0, %435 ]
  %443 = phi i32 [ %460, %459 ], [ 0, %435 ]
  %444 = getelementptr inbounds i32, ptr %6, i64 %441
  %445 = load i32, ptr %444, align 4
  %446 = icmp eq i32 %445, -1
  br i1 %446, label %459, label %447

447:                                             
  %448 = trunc i64 %441 to i32
  %449 = sub i32 %448, %421
  %450 = shl i32 1, %449
  %451 = or i32 %450, %442
  %452 = zext i32 %445 to i64
  %453 = getelementptr inbounds %struct.Stop, ptr %2, i64 %452
  %454 = load i32, ptr %453, align 4
  %455 = add i32 %454, -5
  %456 = icmp ult i32 %455, -4
  %457 = select i1 %456, i32 %450, i32 0
  %458 = or i32 %457, %443
  br label %459

459:                                             
  %460 = phi i32 [ %458, %447 ], [ %443, %440 ]
  %461 = phi i32 [ %451, %447 ], [ %442, %440 ]
  %462 = add nsw i64 %441, 1
  %463 = icmp eq i64 %462, %428
  br i1 %463, label %436, label %440

464:                                             
  %465 = phi i32 [ %493, %486 ], [ %437, %436 ]
  %466 = icmp eq i32 %465, 0
  br i1 %466, label %606, label %467

467:                                             
  %468 = tail call i32 @llvm.cttz.i32(i32 %465, i1 true)
  %469 = or i32 %468, %421
  %470 = zext i32 %469 to i64
  %471 = getelementptr inbounds i32, ptr %6, i64 %470
  %472 = load i32, ptr %471, align 4
  %473 = zext i32 %472 to i64
  %474 = getelementptr inbounds %struct.Stop, ptr %2, i64 %473
  %475 = load i32, ptr %474, align 4
  %476 = getelementptr inbounds i8, ptr %474, i64 12
  %477 = load i32, ptr %476, align 4
  %478 = and i32 %477, 4
  %479 = icmp eq i32 %478, 0
  %480 = getelementptr inbounds i8, ptr %474, i64 24
  %481 = getelementptr inbounds i32, ptr %17, i64 %470
  %482 = select i1 %479, ptr %481, ptr %480
  %483 = load i32, ptr %482, align 4
  br i1 %439, label %486, label %484

484:                                             
  %485 = icmp eq i32 %475, 24
  br label %498

486:                                             
  %487 = phi i32 [ 0, %467 ], [ %530, %529 ]
  %488 = phi i32 [ 0, %467 ], [ %531, %529 ]
  %489 = icmp eq i32 %475, 24
  %490 = and i32 %483, %438
  %491 = select i1 %489, i32 %487, i32 %490
  %492 = xor i32 %487, -1
  %493 = and i32 %465, %492
  %494 = and i32 %488, %491
  %495 = icmp ne i32 %494, %491
  %496 = icmp eq i32 %491, 0
  %497 = or i1 %496, %495
  br i1 %497, label %464, label %535

498:                                             
  %499 = phi i32 [ %437, %484 ], [ %533, %529 ]
  %500 = phi i32 [ 0, %484 ], [ %531, %529 ]
  %501 = phi i32 [ 0, %484 ], [ %530, %529 ]
  %502 = tail call i32 @llvm.cttz.i32(i32 %499, i1 true)
  %503 = or i32 %502, %421
  %504 = zext i32 %503 to i64
  %505 = getelementptr inbounds i32, ptr %6, i64 %504
  %506 = load i32, ptr %505, align 4
  %507 = zext i32 %506 to i64
  br i1 %485, label %519, label %508

508:                                             
  %509 = getelementptr inbounds %struct.Stop, ptr %2, i64 %507
  %510 = getelementptr inbounds i8, ptr %509, i64 12
  %511 = load i32, ptr %510, align 4
  %512 = and i32 %511, 4
  %513 = icmp eq i32 %512, 0
  %514 = getelementptr inbounds i8, ptr %509, i64 24
  %515 = getelementptr inbounds i32, ptr %17, i64 %504
  %516 = select i1 %513, ptr %515, ptr %514
  %517 = load i32, ptr %516, align 4
  %518 = icmp eq i32 %517, %483
  br i1 %518, label %519, label %529

519:                                             
  %520 = icmp eq i32 %506, %472
  %521 = shl i32 1, %502
  %522 = select i1 %520, i32 %521, i32 0
  %523 = or i32 %522, %501
  %524 = getelementptr inbounds %struct.Stop, ptr %2, i64 %507
  %525 = load i32, ptr %524, align 4
  %526 = icmp eq i32 %525, %475
  %527 = select i1 %526, i32 %521, i32 0
  %528 = or i32 %527, %500
  br label %529

529:                                             
  %530 = phi i32 [ %501, %508 ], [ %523, %519 ]
  %531 = phi i32 [ %500, %508 ], [ %528, %519 ]
  %532 = add i32 %499, -1
  %533 = and i32 %532, %499
  %534 = icmp eq i32 %533, 0
  br i1 %534, label %486, label %498

535:                                             
  call fastcc void @warp_operation(ptr %4, ptr %474, i32 %421, i32 %491)
  br i1 %426, label %536, label %543

536:                                             
  %537 = phi i64 [ %541, %536 ], [ %427, %535 ]
  %538 = getelementptr inbounds i32, ptr %6, i64 %537
  %539 = load i32, ptr %538, align 4
  %540 = getelementptr inbounds i32, ptr %23, i64 %537
  store i32 %539, ptr %540, align 4
  %541 = add nsw i64 %537, 1
  %542 = icmp eq i64 %541, %428
  br i1 %542, label %543, label %536

543:                                             
  br label %544

544:                                             
  %545 = phi i32 [ %601, %582 ], [ %491, %543 ]
  %546 = load i32, ptr %47, align 4
  %547 = icmp eq i32 %546, 0
  br i1 %547, label %548, label %616

548:                                             
  %549 = load i64, ptr %46, align 8
  %550 = icmp slt i64 %549, 0
  br i1 %550, label %551, label %552

551:                                             
  store i32 2, ptr %47, align 4
  br label %616

552:                                             
  %553 = tail call i32 @llvm.cttz.i32(i32 %545, i1 true)
  %554 = or i32 %553, %421
  %555 = add i32 %554, 1
  %556 = icmp ult i32 %555, %423
  %557 = zext i32 %554 to i64
  br i1 %556, label %558, label %582

558:                                             
  %559 = add i32 %553, %419
  %560 = zext i32 %559 to i64
  %561 = getelementptr inbounds i32, ptr %23, i64 %557
  br label %562

562:                                             
  %563 = phi i64 [ %560, %558 ], [ %580, %575 ]
  %564 = phi i32 [ %545, %558 ], [ %579, %575 ]
  %565 = trunc i64 %563 to i32
  %566 = sub i32 %565, %421
  %567 = shl i32 1, %566
  %568 = and i32 %567, %564
  %569 = icmp eq i32 %568, 0
  br i1 %569, label %582, label %570

570:                                             
  %571 = getelementptr inbounds i32, ptr %23, i64 %563
  %572 = load i32, ptr %571, align 4
  %573 = load i32, ptr %561, align 4
  %574 = icmp eq i32 %572, %573
  br i1 %574, label %575, label %582

575:                                             
  %576 = add i32 %566, -1
  %577 = shl i32 1, %576
  %578 = xor i32 %577, -1
  %579 = and i32 %564, %578
  %580 = add nsw i64 %563, 1
  %581 = icmp ult i64 %580, %428
  br i1 %581, label %562, label %582

582:                                             
  %583 = phi i32 [ %545, %552 ], [ %564, %570 ], [ %579, %575 ], [ %564, %562 ]
  %584 = phi i32 [ %555, %552 ], [ %565, %570 ], [ %423, %575 ], [ %565, %562 ]
  %585 = getelementptr inbounds i32, ptr %23, i64 %557
  %586 = load i32, ptr %585, align 4
  %587 = zext i32 %586 to i64
  %588 = getelementptr inbounds %struct.Stop, ptr %2, i64 %587
  %589 = getelementptr inbounds i8, ptr %588, i64 4
  %590 = load i32, ptr %589, align 4
  %591 = zext i32 %590 to i64
  %592 = sub i32 %584, %554
  %593 = zext i32 %592 to i64
  %594 = mul nsw i64 %591, %593
  %595 = sub nsw i64 %549, %594
  store i64 %595, ptr %46, align 8
  %596 = getelementptr inbounds ptr, ptr %1, i64 %587
  %597 = load ptr, ptr %596, align 8
  %598 = load ptr, ptr %5, align 8
  %599 = load ptr, ptr %0, align 8
  tail call void %597(ptr %0, ptr %598, ptr %599, i32 %554, i32 %584)
  %600 = add i32 %583, -1
  %601 = and i32 %600, %583
  %602 = icmp eq i32 %601, 0
  br i1 %602, label %603, label %544

603:                                             
  %604 = load i32, ptr %47, align 4
  %605 = icmp eq i32 %604, 0
  br i1 %605, label %429, label %616

606:                                             
  %607 = phi i32 [ %417, %416 ], [ 2, %434 ], [ %430, %464 ]
  %608 = phi i32 [ %418, %416 ], [ 2, %434 ], [ 0, %464 ]
  %609 = phi i32 [ %420, %416 ], [ %431, %434 ], [ %431, %464 ]
  %610 = icmp ult i32 %422, %139
  br i1 %610, label %611, label %619

611:                                             
  %612 = phi i32 [ %607, %606 ], [ %617, %616 ]
  %613 = phi i32 [ %608, %606 ], [ %617, %616 ]
  %614 = phi i32 [ %609, %606 ], [ 1, %616 ]
  %615 = add i32 %419, 32
  br label %416

616:                                             
  %617 = phi i32 [ %546, %544 ], [ 2, %551 ], [ %604, %603 ]
  %618 = icmp ult i32 %422, %139
  br i1 %618, label %611, label %639

619:                                             
  %620 = icmp eq i32 %609, 0
  %621 = icmp eq i32 %607, 0
  %622 = select i1 %620, i1 %621, i1 false
  br i1 %622, label %623, label %639

623:                                             
  %624 = getelementptr inbounds %struct.Stop, ptr %2, i64 %201
  %625 = getelementptr inbounds i8, ptr %624, i64 8
  %626 = load i32, ptr %625, align 4
  store i32 1, ptr %47, align 4
  store i32 0, ptr %48, align 8
  store i32 %626, ptr %49, align 8
  br label %657

627:                                             
  %628 = getelementptr inbounds i8, ptr %211, i64 4
  %629 = load i32, ptr %628, align 4
  %630 = zext i32 %629 to i64
  %631 = zext i32 %198 to i64
  %632 = mul nsw i64 %630, %631
  %633 = load i64, ptr %46, align 8
  %634 = sub nsw i64 %633, %632
  store i64 %634, ptr %46, align 8
  %635 = getelementptr inbounds ptr, ptr %1, i64 %201
  %636 = load ptr, ptr %635, align 8
  %637 = load ptr, ptr %5, align 8
  %638 = load ptr, ptr %0, align 8
  tail call void %636(ptr %0, ptr %637, ptr %638, i32 0, i32 %198)
  br label %639

639:                                             
  %640 = load i32, ptr %47, align 4
  %641 = icmp eq i32 %640, 0
  br i1 %641, label %133, label %657

642:                                             
  %643 = load i32, ptr %31, align 4
  br label %644

644:                                             
  %645 = phi i32 [ %643, %642 ], [ %60, %59 ]
  %646 = phi i32 [ %66, %642 ], [ 0, %59 ]
  %647 = add i32 %62, 1
  %648 = icmp ult i32 %647, %645
  br i1 %648, label %59, label %649

649:                                             
  %650 = load i32, ptr %27, align 8
  br label %651

651:                                             
  %652 = phi i32 [ %650, %649 ], [ %52, %51 ]
  %653 = phi i32 [ %645, %649 ], [ %53, %51 ]
  %654 = phi i32 [ %645, %649 ], [ 0, %51 ]
  %655 = add i32 %55, 1
  %656 = icmp ult i32 %655, %652
  br i1 %656, label %51, label %657

657:                                             
  %658 = phi i32 [ 0, %3 ], [ %391, %388 ], [ 2, %137 ], [ %267, %265 ], [ %640, %639 ], [ 1, %623 ], [ 2, %396 ], [ 8, %377 ], [ 2, %272 ], [ %131, %120 ], [ 0, %651 ]
  ret i32 %658
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
  %143 = getelementptr inbounds i8, ptr %142, i64 144
  %144 = load i32, ptr %143, align 8
  %145 = icmp eq i32 %144, 0
  br i1 %145, label %274, label %146

146:                                             
  call void @llvm.memset.p0.i64(ptr align 16 dereferenceable(128) %5, i8 0, i64 128, i1 false)
  %147 = icmp eq i32 %3, 0
  br i1 %147, label %186, label %148

148:                                             
  %149 = getelementptr inbounds i8, ptr %142, i64 40
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
