// The network's price rule for all providers at once, one thread each: the image of
// cocoon/market/price.py and of price_rule.py, in whole numbers, so that all three agree bit for bit.

typedef long long int64;
typedef unsigned long long uint64;

#define PPM 1000000LL
#define LOW 400000LL
#define HIGH 600000LL
#define SHORT 9000000000000LL

static __device__ int64 utilisation_ppm(int64 busy_slot_ms, int64 slot_ms) {
  if (busy_slot_ms >= slot_ms) return PPM;
  if (busy_slot_ms < SHORT) return (int64)((uint64)(busy_slot_ms * PPM) / (uint64)slot_ms);
  int64 high = busy_slot_ms * 1000 / slot_ms, rest = busy_slot_ms * 1000 % slot_ms;
  return high * 1000 + rest * 1000 / slot_ms;
}

static __device__ int64 scaled(int64 amount, int64 ppm) {
  if (amount < SHORT) return (int64)((uint64)(amount * ppm) / (uint64)PPM);
  return amount / PPM * ppm + amount % PPM * ppm / PPM;
}

static __device__ int64 clamped(int64 value, int64 low, int64 high) {
  value = value > low ? value : low;
  return value < high ? value : high;
}

extern "C" __global__ void price_step(int64* level_ppm, const int64* busy_slot_ms,
                                      const int64* slot_ms, const int64* floor_ppm,
                                      const int64* cap_ppm, int64 elasticity_ppm,
                                      int64 step_max_ppm, int providers) {
  int one = blockIdx.x * blockDim.x + threadIdx.x;
  if (one >= providers) return;
  int64 low = floor_ppm[one], high = cap_ppm[one];
  int64 level = clamped(level_ppm[one], low, high);
  int64 load = utilisation_ppm(busy_slot_ms[one], slot_ms[one]);
  int64 distance = load > HIGH ? load - HIGH : load < LOW ? LOW - load : 0;
  if (distance) {
    int64 step = scaled(elasticity_ppm, distance);
    step = step < step_max_ppm ? step : step_max_ppm;
    step = step < PPM ? step : PPM;
    int64 movement = scaled(level, step);
    level = clamped(load > HIGH ? level + movement : level - movement, low, high);
  }
  level_ppm[one] = level;
}
