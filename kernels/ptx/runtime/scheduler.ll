; of scheduler.c with SHA-256 51ab33220261184c0498eda78945f74a1165ff7cb10a1e6177a418a76c41ef23
%struct.Access = type { i32, i32, [4 x [2 x %struct.Event]] }
%struct.Event = type { i32, i32 }
%struct.Touch = type { i32, i32, i8, i8, [2 x i8] }
%struct.Launch = type { ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, i32 }
%struct.Stop = type { i32, i32, i32, i32, i32, i32, i32, i32 }

define i32 @ptx_check(ptr %0, i32 %1, i64 %2, i32 %3, i32 %4, i64 %5, i32 %6) local_unnamed_addr {
  %8 = and i32 %4, 3
  %9 = add i64 %2, -17592186044416
  %10 = zext i32 %1 to i64
  %11 = getelementptr inbounds i8, ptr %0, i64 108
  %12 = load i32, ptr %11, align 4
  %13 = zext i32 %12 to i64
  %14 = mul i64 %13, %10
  %15 = add nsw i32 %8, -1
  %16 = icmp ult i32 %15, 2
  br i1 %16, label %33, label %17

17:                                              
  %18 = getelementptr inbounds i8, ptr %0, i64 72
  %19 = load i64, ptr %18, align 8
  %20 = sub i64 %9, %19
  %21 = getelementptr inbounds i8, ptr %0, i64 104
  %22 = load i32, ptr %21, align 8
  %23 = zext i32 %22 to i64
  %24 = icmp ult i64 %20, %23
  br i1 %24, label %38, label %25

25:                                              
  %26 = icmp eq i32 %12, 0
  br i1 %26, label %33, label %27

27:                                              
  %28 = getelementptr inbounds i8, ptr %0, i64 80
  %29 = load i64, ptr %28, align 8
  %30 = add i64 %14, %29
  %31 = sub i64 %9, %30
  %32 = icmp ult i64 %31, %13
  br i1 %32, label %130, label %33

33:                                              
  switch i32 %8, label %141 [
    i32 1, label %34
    i32 2, label %130
  ]

34:                                              
  %35 = getelementptr inbounds i8, ptr %0, i64 104
  %36 = load i32, ptr %35, align 8
  %37 = zext i32 %36 to i64
  br label %38

38:                                              
  %39 = phi i64 [ %37, %34 ], [ %23, %17 ]
  %40 = phi i64 [ %2, %34 ], [ %20, %17 ]
  %41 = icmp ugt i64 %40, %39
  br i1 %41, label %315, label %42

42:                                              
  %43 = sub nsw i64 %39, %40
  %44 = zext i32 %3 to i64
  %45 = icmp ult i64 %43, %44
  br i1 %45, label %315, label %46

46:                                              
  %47 = trunc i64 %40 to i32
  %48 = urem i32 %47, %3
  %49 = icmp eq i32 %48, 0
  br i1 %49, label %50, label %315

50:                                              
  %51 = load ptr, ptr %0, align 8
  %52 = getelementptr inbounds i8, ptr %0, i64 72
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
  %79 = phi i32 [ 0, %50 ], [ 0, %62 ], [ 0, %70 ], [ 1, %67 ]
  %80 = and i32 %4, 8
  %81 = icmp eq i32 %80, 0
  %82 = and i32 %4, 36
  %83 = icmp eq i32 %82, 4
  %84 = or i1 %81, %83
  br i1 %84, label %97, label %85

85:                                              
  %86 = and i32 %4, 64
  %87 = icmp eq i32 %86, 0
  br i1 %87, label %88, label %92

88:                                              
  %89 = getelementptr inbounds i8, ptr %0, i64 168
  %90 = load i32, ptr %89, align 8
  %91 = icmp eq i32 %90, 0
  br i1 %91, label %97, label %92

92:                                              
  %93 = getelementptr inbounds i8, ptr %0, i64 172
  store i32 1, ptr %93, align 4
  %94 = getelementptr inbounds i8, ptr %0, i64 156
  %95 = load i32, ptr %94, align 4
  %96 = getelementptr inbounds i8, ptr %0, i64 176
  store i32 %95, ptr %96, align 8
  br label %97

97:                                              
  %98 = and i32 %4, 24
  %99 = icmp eq i32 %98, 8
  %100 = or i1 %61, %99
  %101 = getelementptr inbounds i8, ptr %0, i64 24
  %102 = lshr i32 %4, 3
  %103 = and i32 %102, 1
  %104 = lshr i32 %4, 1
  %105 = and i32 %104, 2
  %106 = or i32 %103, %105
  br label %107

107:                                             
  %108 = phi i64 [ 0, %97 ], [ %128, %127 ]
  br i1 %100, label %109, label %114

109:                                             
  %110 = getelementptr inbounds i8, ptr %59, i64 %108
  %111 = load i8, ptr %110, align 1
  %112 = and i8 %111, 2
  %113 = icmp eq i8 %112, 0
  br i1 %113, label %315, label %114

114:                                             
  %115 = load ptr, ptr %101, align 8
  %116 = getelementptr inbounds %struct.Access, ptr %115, i64 %40
  %117 = getelementptr inbounds %struct.Access, ptr %116, i64 %108
  %118 = tail call fastcc i32 @race(ptr %0, ptr %117, i32 %1, i32 %106, i32 %79)
  %119 = icmp eq i32 %118, 0
  br i1 %119, label %120, label %125

120:                                             
  br i1 %61, label %127, label %121

121:                                             
  %122 = getelementptr inbounds i8, ptr %59, i64 %108
  %123 = load i8, ptr %122, align 1
  %124 = or i8 %123, 2
  store i8 %124, ptr %122, align 1
  br label %127

125:                                             
  %126 = add i32 %118, -1
  br label %309

127:                                             
  %128 = add nsw i64 %108, 1
  %129 = icmp eq i64 %128, %44
  br i1 %129, label %331, label %107

130:                                             
  %131 = phi i64 [ %2, %33 ], [ %31, %27 ]
  %132 = icmp ugt i64 %131, %13
  %133 = sub nsw i64 %13, %131
  %134 = zext i32 %3 to i64
  %135 = icmp ult i64 %133, %134
  %136 = select i1 %132, i1 true, i1 %135
  br i1 %136, label %315, label %137

137:                                             
  %138 = trunc i64 %131 to i32
  %139 = urem i32 %138, %3
  %140 = icmp eq i32 %139, 0
  br i1 %140, label %331, label %315

141:                                             
  %142 = getelementptr inbounds i8, ptr %0, i64 56
  %143 = load i64, ptr %142, align 8
  %144 = icmp ugt i64 %9, %143
  br i1 %144, label %315, label %145

145:                                             
  %146 = sub i64 %143, %9
  %147 = zext i32 %3 to i64
  %148 = icmp ult i64 %146, %147
  br i1 %148, label %315, label %149

149:                                             
  %150 = urem i64 %9, %147
  %151 = icmp eq i64 %150, 0
  br i1 %151, label %152, label %315

152:                                             
  %153 = and i32 %4, 4
  %154 = icmp eq i32 %153, 0
  br i1 %154, label %175, label %155

155:                                             
  %156 = and i32 %4, 16
  %157 = icmp ne i32 %156, 0
  %158 = icmp ult i32 %3, 9
  %159 = and i1 %158, %157
  br i1 %159, label %160, label %175

160:                                             
  %161 = load ptr, ptr %0, align 8
  %162 = getelementptr inbounds i8, ptr %161, i64 %9
  %163 = icmp eq i32 %3, 0
  br i1 %163, label %196, label %167

164:                                             
  %165 = add nsw i64 %168, 1
  %166 = icmp eq i64 %165, %147
  br i1 %166, label %175, label %167

167:                                             
  %168 = phi i64 [ %165, %164 ], [ 0, %160 ]
  %169 = getelementptr inbounds i8, ptr %162, i64 %168
  %170 = load i8, ptr %169, align 1
  %171 = shl nsw i64 %168, 3
  %172 = lshr i64 %5, %171
  %173 = trunc i64 %172 to i8
  %174 = icmp eq i8 %170, %173
  br i1 %174, label %164, label %175

175:                                             
  %176 = phi i32 [ 15, %152 ], [ 15, %155 ], [ 15, %167 ], [ 11, %164 ]
  %177 = phi i32 [ 0, %152 ], [ 0, %155 ], [ 0, %167 ], [ 1, %164 ]
  %178 = icmp eq i32 %3, 0
  br i1 %178, label %196, label %179

179:                                             
  %180 = getelementptr inbounds i8, ptr %0, i64 16
  %181 = load ptr, ptr %180, align 8
  %182 = getelementptr i8, ptr %181, i64 %9
  br label %186

183:                                             
  %184 = add nsw i64 %187, 1
  %185 = icmp eq i64 %184, %147
  br i1 %185, label %196, label %186

186:                                             
  %187 = phi i64 [ 0, %179 ], [ %184, %183 ]
  %188 = getelementptr i8, ptr %182, i64 %187
  %189 = load i8, ptr %188, align 1
  %190 = zext i8 %189 to i32
  %191 = and i32 %190, 1
  %192 = icmp eq i32 %191, 0
  br i1 %192, label %315, label %193

193:                                             
  %194 = and i32 %153, %190
  %195 = icmp eq i32 %194, 0
  br i1 %195, label %183, label %315

196:                                             
  %197 = phi i1 [ true, %160 ], [ true, %175 ], [ false, %183 ]
  %198 = phi i32 [ 1, %160 ], [ %177, %175 ], [ %177, %183 ]
  %199 = phi i32 [ 11, %160 ], [ %176, %175 ], [ %176, %183 ]
  %200 = and i32 %4, 8
  %201 = icmp eq i32 %200, 0
  %202 = and i32 %4, 36
  %203 = icmp eq i32 %202, 4
  %204 = or i1 %201, %203
  br i1 %204, label %217, label %205

205:                                             
  %206 = and i32 %4, 64
  %207 = icmp eq i32 %206, 0
  br i1 %207, label %208, label %212

208:                                             
  %209 = getelementptr inbounds i8, ptr %0, i64 168
  %210 = load i32, ptr %209, align 8
  %211 = icmp eq i32 %210, 0
  br i1 %211, label %217, label %212

212:                                             
  %213 = getelementptr inbounds i8, ptr %0, i64 172
  store i32 1, ptr %213, align 4
  %214 = getelementptr inbounds i8, ptr %0, i64 156
  %215 = load i32, ptr %214, align 4
  %216 = getelementptr inbounds i8, ptr %0, i64 176
  store i32 %215, ptr %216, align 8
  br label %217

217:                                             
  br i1 %197, label %218, label %224

218:                                             
  %219 = lshr i32 %4, 3
  %220 = and i32 %219, 1
  %221 = lshr i32 %4, 1
  %222 = and i32 %221, 2
  %223 = or i32 %220, %222
  br label %236

224:                                             
  %225 = getelementptr inbounds i8, ptr %0, i64 40
  %226 = lshr i32 %4, 3
  %227 = and i32 %226, 1
  %228 = lshr i32 %4, 1
  %229 = and i32 %228, 2
  %230 = or i32 %227, %229
  %231 = getelementptr inbounds i8, ptr %0, i64 164
  %232 = getelementptr inbounds i8, ptr %0, i64 160
  %233 = shl nsw i32 1, %230
  %234 = trunc nsw i32 %233 to i8
  %235 = getelementptr inbounds i8, ptr %0, i64 172
  br label %239

236:                                             
  %237 = phi i32 [ %223, %218 ], [ %230, %292 ]
  %238 = getelementptr inbounds i8, ptr %0, i64 32
  br label %295

239:                                             
  %240 = phi i64 [ 0, %224 ], [ %293, %292 ]
  %241 = load ptr, ptr %225, align 8
  %242 = getelementptr inbounds %struct.Touch, ptr %241, i64 %9
  %243 = getelementptr inbounds %struct.Touch, ptr %242, i64 %240
  %244 = load i32, ptr %243, align 4
  %245 = load i32, ptr %231, align 4
  %246 = icmp eq i32 %244, %245
  br i1 %246, label %247, label %251

247:                                             
  %248 = getelementptr inbounds i8, ptr %243, i64 8
  %249 = load i8, ptr %248, align 4
  %250 = or i8 %249, %234
  br label %267

251:                                             
  %252 = load i32, ptr %232, align 8
  %253 = icmp ult i32 %244, %252
  %254 = select i1 %253, i32 0, i32 %244
  br i1 %253, label %261, label %255

255:                                             
  %256 = getelementptr inbounds i8, ptr %243, i64 9
  %257 = load i8, ptr %256, align 1
  %258 = getelementptr inbounds i8, ptr %243, i64 8
  %259 = load i8, ptr %258, align 4
  %260 = or i8 %259, %257
  br label %261

261:                                             
  %262 = phi i8 [ %260, %255 ], [ 0, %251 ]
  store i32 %245, ptr %243, align 4
  %263 = getelementptr inbounds i8, ptr %243, i64 4
  store i32 %254, ptr %263, align 4
  %264 = getelementptr inbounds i8, ptr %243, i64 9
  store i8 %262, ptr %264, align 1
  %265 = getelementptr inbounds i8, ptr %243, i64 10
  store i8 0, ptr %265, align 2
  %266 = getelementptr inbounds i8, ptr %243, i64 11
  store i8 0, ptr %266, align 1
  br label %267

267:                                             
  %268 = phi i8 [ %250, %247 ], [ %234, %261 ]
  %269 = getelementptr inbounds i8, ptr %243, i64 8
  store i8 %268, ptr %269, align 4
  %270 = load i32, ptr %235, align 4
  %271 = icmp eq i32 %270, 0
  br i1 %271, label %272, label %292

272:                                             
  %273 = getelementptr inbounds i8, ptr %243, i64 9
  %274 = load i8, ptr %273, align 1
  %275 = zext i8 %274 to i32
  switch i32 %230, label %278 [
    i32 0, label %280
    i32 1, label %276
    i32 3, label %277
    i32 2, label %279
  ]

276:                                             
  br label %280

277:                                             
  br label %280

278:                                             
  unreachable

279:                                             
  br label %280

280:                                             
  %281 = phi i32 [ %199, %279 ], [ 4, %276 ], [ 5, %277 ], [ 12, %272 ]
  %282 = and i32 %281, %275
  %283 = icmp eq i32 %282, 0
  br i1 %283, label %292, label %284

284:                                             
  %285 = getelementptr inbounds i8, ptr %243, i64 4
  %286 = load i32, ptr %285, align 4
  %287 = load i32, ptr %232, align 8
  %288 = add i32 %286, 1
  %289 = icmp eq i32 %288, %287
  br i1 %289, label %292, label %290

290:                                             
  %291 = sub i32 %286, %287
  br label %309

292:                                             
  %293 = add nsw i64 %240, 1
  %294 = icmp eq i64 %293, %147
  br i1 %294, label %236, label %239

295:                                             
  %296 = phi i32 [ %297, %299 ], [ 0, %236 ]
  %297 = add i32 %296, 4
  %298 = icmp ugt i32 %297, %3
  br i1 %298, label %331, label %299

299:                                             
  %300 = load ptr, ptr %238, align 8
  %301 = zext i32 %296 to i64
  %302 = add i64 %9, %301
  %303 = lshr i64 %302, 2
  %304 = getelementptr inbounds %struct.Access, ptr %300, i64 %303
  %305 = tail call fastcc i32 @race(ptr %0, ptr %304, i32 %1, i32 %237, i32 %198)
  %306 = icmp eq i32 %305, 0
  br i1 %306, label %295, label %307

307:                                             
  %308 = add i32 %305, -1
  br label %309

309:                                             
  %310 = phi i32 [ %126, %125 ], [ %308, %307 ], [ %291, %290 ]
  %311 = phi i64 [ %40, %125 ], [ %2, %307 ], [ %2, %290 ]
  %312 = phi i32 [ 1, %125 ], [ %8, %307 ], [ %8, %290 ]
  %313 = phi i32 [ 7, %125 ], [ 7, %307 ], [ 11, %290 ]
  %314 = getelementptr inbounds i8, ptr %0, i64 184
  store i32 %310, ptr %314, align 8
  br label %315

315:                                             
  %316 = phi i64 [ %40, %38 ], [ %131, %130 ], [ %131, %137 ], [ %2, %149 ], [ %2, %145 ], [ %2, %141 ], [ %2, %193 ], [ %311, %309 ], [ %40, %46 ], [ %40, %42 ], [ %2, %186 ], [ %40, %109 ]
  %317 = phi i32 [ 1, %38 ], [ 2, %130 ], [ 2, %137 ], [ %8, %149 ], [ %8, %145 ], [ %8, %141 ], [ %8, %193 ], [ %312, %309 ], [ 1, %46 ], [ 1, %42 ], [ %8, %186 ], [ 1, %109 ]
  %318 = phi i32 [ 4, %38 ], [ 4, %130 ], [ 5, %137 ], [ 5, %149 ], [ 4, %145 ], [ 4, %141 ], [ 10, %193 ], [ %313, %309 ], [ 5, %46 ], [ 4, %42 ], [ 4, %186 ], [ 6, %109 ]
  %319 = getelementptr inbounds i8, ptr %0, i64 148
  %320 = load i32, ptr %319, align 4
  %321 = icmp eq i32 %320, 0
  br i1 %321, label %322, label %331

322:                                             
  %323 = getelementptr inbounds i8, ptr %0, i64 208
  store i64 %316, ptr %323, align 8
  %324 = getelementptr inbounds i8, ptr %0, i64 192
  store i32 %3, ptr %324, align 8
  %325 = getelementptr inbounds i8, ptr %0, i64 196
  store i32 %317, ptr %325, align 4
  %326 = lshr i32 %4, 2
  %327 = and i32 %326, 1
  %328 = getelementptr inbounds i8, ptr %0, i64 200
  store i32 %327, ptr %328, align 8
  store i32 %318, ptr %319, align 4
  %329 = getelementptr inbounds i8, ptr %0, i64 180
  store i32 %1, ptr %329, align 4
  %330 = getelementptr inbounds i8, ptr %0, i64 188
  store i32 %6, ptr %330, align 4
  br label %331

331:                                             
  %332 = phi i32 [ 1, %322 ], [ 0, %137 ], [ 0, %295 ], [ 1, %315 ], [ 0, %127 ]
  ret i32 %332
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
  %26 = getelementptr inbounds i8, ptr %0, i64 136
  %27 = getelementptr inbounds i8, ptr %0, i64 144
  %28 = load i32, ptr %27, align 8
  %29 = icmp eq i32 %28, 0
  br i1 %29, label %727, label %30

30:                                              
  %31 = getelementptr inbounds i8, ptr %0, i64 140
  %32 = getelementptr inbounds i8, ptr %0, i64 124
  %33 = getelementptr inbounds i8, ptr %0, i64 128
  %34 = getelementptr inbounds i8, ptr %0, i64 132
  %35 = getelementptr inbounds i8, ptr %0, i64 152
  %36 = getelementptr inbounds i8, ptr %0, i64 156
  %37 = getelementptr inbounds i8, ptr %0, i64 164
  %38 = getelementptr inbounds i8, ptr %0, i64 172
  %39 = getelementptr inbounds i8, ptr %0, i64 168
  %40 = getelementptr inbounds i8, ptr %0, i64 104
  %41 = getelementptr inbounds i8, ptr %0, i64 16
  %42 = getelementptr inbounds i8, ptr %0, i64 72
  %43 = getelementptr inbounds i8, ptr %0, i64 96
  %44 = getelementptr inbounds i8, ptr %0, i64 48
  %45 = getelementptr inbounds i8, ptr %2, i64 4
  %46 = getelementptr inbounds i8, ptr %0, i64 88
  %47 = getelementptr inbounds i8, ptr %0, i64 148
  %48 = getelementptr inbounds i8, ptr %0, i64 180
  %49 = getelementptr inbounds i8, ptr %0, i64 188
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
  store i32 0, ptr %48, align 4
  store i32 %457, ptr %49, align 4
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
  store i32 0, ptr %48, align 4
  store i32 %702, ptr %49, align 4
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

define internal fastcc i32 @race(ptr %0, ptr %1, i32 %2, i32 %3, i32 %4) unnamed_addr {
  %6 = load i32, ptr %1, align 4
  %7 = getelementptr inbounds i8, ptr %0, i64 156
  %8 = load i32, ptr %7, align 4
  %9 = icmp eq i32 %6, %8
  br i1 %9, label %13, label %10

10:                                              
  store i32 %8, ptr %1, align 4
  %11 = getelementptr inbounds i8, ptr %1, i64 4
  tail call void @llvm.memset.p0.i64(ptr align 4 dereferenceable(68) %11, i8 0, i64 68, i1 false)
  %12 = load i32, ptr %7, align 4
  br label %13

13:                                              
  %14 = phi i32 [ %12, %10 ], [ %6, %5 ]
  %15 = getelementptr inbounds i8, ptr %0, i64 176
  %16 = load i32, ptr %15, align 8
  %17 = icmp eq i32 %16, %14
  br i1 %17, label %25, label %18

18:                                              
  switch i32 %3, label %21 [
    i32 0, label %25
    i32 1, label %19
    i32 3, label %20
    i32 2, label %22
  ]

19:                                              
  br label %25

20:                                              
  br label %25

21:                                              
  unreachable

22:                                              
  %23 = icmp eq i32 %4, 0
  %24 = select i1 %23, i32 15, i32 11
  br label %25

25:                                              
  %26 = phi i32 [ 0, %13 ], [ %24, %22 ], [ 4, %19 ], [ 5, %20 ], [ 12, %18 ]
  %27 = getelementptr inbounds i8, ptr %1, i64 8
  %28 = getelementptr inbounds i8, ptr %0, i64 48
  %29 = zext i32 %2 to i64
  %30 = shl nsw i64 %29, 7
  br label %31

31:                                              
  %32 = phi i64 [ 0, %25 ], [ %62, %61 ]
  %33 = trunc nsw i64 %32 to i32
  %34 = shl nsw i32 1, %33
  %35 = and i32 %34, %26
  %36 = icmp eq i32 %35, 0
  %37 = getelementptr inbounds [2 x %struct.Event], ptr %27, i64 %32
  br i1 %36, label %61, label %38

38:                                              
  %39 = phi i1 [ false, %60 ], [ true, %31 ]
  %40 = phi i64 [ 1, %60 ], [ 0, %31 ]
  %41 = getelementptr inbounds %struct.Event, ptr %37, i64 %40
  %42 = load i32, ptr %41, align 4
  %43 = icmp eq i32 %42, 0
  br i1 %43, label %60, label %44

44:                                              
  %45 = add i32 %42, -1
  %46 = getelementptr inbounds i8, ptr %41, i64 4
  %47 = load i32, ptr %46, align 4
  %48 = icmp eq i32 %45, %2
  br i1 %48, label %60, label %49

49:                                              
  %50 = xor i32 %45, %2
  %51 = icmp ult i32 %50, 32
  br i1 %51, label %52, label %115

52:                                              
  %53 = load ptr, ptr %28, align 8
  %54 = getelementptr inbounds i8, ptr %53, i64 %30
  %55 = and i32 %45, 31
  %56 = zext i32 %55 to i64
  %57 = getelementptr inbounds i32, ptr %54, i64 %56
  %58 = load i32, ptr %57, align 4
  %59 = icmp ugt i32 %47, %58
  br i1 %59, label %115, label %60

60:                                              
  br i1 %39, label %38, label %61

61:                                              
  %62 = add nsw i64 %32, 1
  %63 = icmp eq i64 %62, 4
  br i1 %63, label %64, label %31

64:                                              
  %65 = zext i32 %3 to i64
  %66 = getelementptr inbounds [2 x %struct.Event], ptr %27, i64 %65
  %67 = load ptr, ptr %28, align 8
  %68 = getelementptr inbounds i8, ptr %67, i64 %30
  %69 = and i32 %2, 31
  %70 = zext i32 %69 to i64
  %71 = getelementptr inbounds i32, ptr %68, i64 %70
  %72 = load i32, ptr %71, align 4
  %73 = add i32 %2, 1
  br label %75

74:                                              
  br i1 %80, label %82, label %111

75:                                              
  %76 = phi i1 [ true, %64 ], [ false, %75 ]
  %77 = phi i64 [ 0, %64 ], [ 1, %75 ]
  %78 = getelementptr inbounds %struct.Event, ptr %66, i64 %77
  %79 = load i32, ptr %78, align 4
  %80 = icmp ne i32 %79, %73
  %81 = and i1 %76, %80
  br i1 %81, label %75, label %74

82:                                              
  %83 = phi i1 [ false, %102 ], [ true, %74 ]
  %84 = phi i64 [ 1, %102 ], [ 0, %74 ]
  %85 = getelementptr inbounds %struct.Event, ptr %66, i64 %84
  %86 = load i32, ptr %85, align 4
  %87 = icmp eq i32 %86, 0
  br i1 %87, label %111, label %88

88:                                              
  %89 = add i32 %86, -1
  %90 = getelementptr inbounds i8, ptr %85, i64 4
  %91 = load i32, ptr %90, align 4
  %92 = icmp eq i32 %89, %2
  br i1 %92, label %111, label %93

93:                                              
  %94 = xor i32 %89, %2
  %95 = icmp ult i32 %94, 32
  br i1 %95, label %96, label %102

96:                                              
  %97 = and i32 %89, 31
  %98 = zext i32 %97 to i64
  %99 = getelementptr inbounds i32, ptr %68, i64 %98
  %100 = load i32, ptr %99, align 4
  %101 = icmp ugt i32 %91, %100
  br i1 %101, label %102, label %111

102:                                             
  br i1 %83, label %82, label %103

103:                                             
  %104 = load i32, ptr %66, align 4
  %105 = add i32 %104, -1
  %106 = getelementptr inbounds i8, ptr %66, i64 8
  %107 = load i32, ptr %106, align 4
  %108 = add i32 %107, -1
  %109 = xor i32 %108, %105
  %110 = icmp ult i32 %109, 32
  br i1 %110, label %111, label %115

111:                                             
  %112 = phi i64 [ %77, %74 ], [ 1, %103 ], [ %84, %96 ], [ %84, %88 ], [ %84, %82 ]
  %113 = getelementptr inbounds %struct.Event, ptr %66, i64 %112
  store i32 %73, ptr %113, align 4
  %114 = getelementptr inbounds i8, ptr %113, i64 4
  store i32 %72, ptr %114, align 4
  br label %115

115:                                             
  %116 = phi i32 [ 0, %111 ], [ 0, %103 ], [ %42, %49 ], [ %42, %52 ]
  ret i32 %116
}

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
  %145 = getelementptr inbounds i8, ptr %144, i64 152
  %146 = load i32, ptr %145, align 8
  %147 = icmp eq i32 %146, 0
  br i1 %147, label %276, label %148

148:                                             
  call void @llvm.memset.p0.i64(ptr align 16 dereferenceable(128) %5, i8 0, i64 128, i1 false)
  %149 = icmp eq i32 %3, 0
  br i1 %149, label %188, label %150

150:                                             
  %151 = getelementptr inbounds i8, ptr %144, i64 48
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
  %73 = getelementptr inbounds i8, ptr %72, i64 152
  %74 = load i32, ptr %73, align 8
  %75 = icmp eq i32 %74, 0
  br i1 %75, label %84, label %76

76:                                              
  %77 = getelementptr inbounds i8, ptr %72, i64 148
  %78 = load i32, ptr %77, align 4
  %79 = icmp eq i32 %78, 0
  br i1 %79, label %80, label %84

80:                                              
  %81 = load i32, ptr %12, align 4
  store i32 9, ptr %77, align 4
  %82 = getelementptr inbounds i8, ptr %72, i64 180
  store i32 %20, ptr %82, align 4
  %83 = getelementptr inbounds i8, ptr %72, i64 188
  store i32 %81, ptr %83, align 4
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
