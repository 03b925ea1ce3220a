/*
 * Runs the small network that tells a person from what is behind: a list of steps over floats, made from
 * the published model by build.py. Freestanding, for wasm32 with SIMD; no memory is taken while it runs.
 *
 * Pictures are rows of pixels of channels (NHWC). Channels of every step but the first and the last are a
 * multiple of 8, which build.py asserts.
 */
#include <wasm_simd128.h>

typedef struct {
  int kind, activation;
  int in, other, out;              /* floats from the beginning of the arena */
  int height, width, channels;     /* of `in` */
  int out_height, out_width, out_channels;
  int size, stride, pad_y, pad_x;  /* of the kernel; pads before the first row and column */
  int weights, bias;               /* floats from the beginning of the weights */
} Step;

typedef struct {
  int magic, steps, arena, weights, input, output;
} Head;

enum { CONVOLUTION, POINTWISE, DEPTHWISE, MEAN, SCALE, ADD, RESIZE, TRANSPOSED };
enum { LINEAR, RELU, HARD_SWISH, LOGISTIC };
enum { MAGIC = 0x31534b4b };

extern unsigned char __heap_base;
static const Head *head;
static const Step *steps;
static float *weights, *arena;

static float half(unsigned short bits) {
  unsigned sign = (unsigned)(bits & 0x8000) << 16, exponent = (bits >> 10) & 31, rest = bits & 1023;
  union { unsigned u; float f; } value;
  if (exponent == 0) {
    value.f = (float)rest / 16777216.0f;
    value.u |= sign;
  } else {
    value.u = sign | (exponent + 112) << 23 | rest << 13;
  }
  return value.f;
}

/* 2^x by its whole part in the exponent and a polynomial of the rest; good to 1e-6. */
static float power2(float x) {
  if (x < -126.0f) x = -126.0f;
  if (x > 126.0f) x = 126.0f;
  float whole = __builtin_floorf(x), f = x - whole;
  union { int i; float f; } scale = { .i = ((int)whole + 127) << 23 };
  float sum = 1.0f + f * (0.69314718f + f * (0.24022651f + f * (0.05550411f
      + f * (0.00961813f + f * (0.00133336f + f * 0.00015403f)))));
  return scale.f * sum;
}

static float logistic(float x) {
  return 1.0f / (1.0f + power2(-1.44269504f * x));
}

static v128_t activate(v128_t x, int activation) {
  v128_t zero = wasm_f32x4_splat(0);
  if (activation == RELU) return wasm_f32x4_pmax(zero, x);
  if (activation == HARD_SWISH) {
    v128_t gate = wasm_f32x4_add(x, wasm_f32x4_splat(3));
    gate = wasm_f32x4_pmin(wasm_f32x4_splat(6), wasm_f32x4_pmax(zero, gate));
    return wasm_f32x4_mul(x, wasm_f32x4_mul(gate, wasm_f32x4_splat(1.0f / 6.0f)));
  }
  if (activation == LOGISTIC) {
    return wasm_f32x4_make(logistic(wasm_f32x4_extract_lane(x, 0)),
        logistic(wasm_f32x4_extract_lane(x, 1)), logistic(wasm_f32x4_extract_lane(x, 2)),
        logistic(wasm_f32x4_extract_lane(x, 3)));
  }
  return x;
}

static v128_t fused(v128_t sum, v128_t a, v128_t b) {
  return wasm_f32x4_add(sum, wasm_f32x4_mul(a, b));
}

/* Weights: [in][out]. Four pixels by eight channels at a time stay in registers. */
static void pointwise(const Step *s) {
  int pixels = s->height * s->width, ins = s->channels, outs = s->out_channels;
  const float *bias = weights + s->bias;
  for (int pixel = 0; pixel < pixels;) {
    int many = pixels - pixel >= 4;
    const float *x = arena + s->in + pixel * ins;
    float *y = arena + s->out + pixel * outs;
    for (int o = 0; o < outs; o += 8) {
      const float *w = weights + s->weights + o;
      v128_t low = wasm_v128_load(bias + o), high = wasm_v128_load(bias + o + 4);
      v128_t a0 = low, a1 = high, b0 = low, b1 = high, c0 = low, c1 = high, d0 = low, d1 = high;
      if (many) {
        for (int i = 0; i < ins; i++, w += outs) {
          v128_t w0 = wasm_v128_load(w), w1 = wasm_v128_load(w + 4);
          v128_t a = wasm_v128_load32_splat(x + i), b = wasm_v128_load32_splat(x + ins + i);
          v128_t c = wasm_v128_load32_splat(x + 2 * ins + i);
          v128_t d = wasm_v128_load32_splat(x + 3 * ins + i);
          a0 = fused(a0, a, w0), a1 = fused(a1, a, w1), b0 = fused(b0, b, w0), b1 = fused(b1, b, w1);
          c0 = fused(c0, c, w0), c1 = fused(c1, c, w1), d0 = fused(d0, d, w0), d1 = fused(d1, d, w1);
        }
        wasm_v128_store(y + outs + o, activate(b0, s->activation));
        wasm_v128_store(y + outs + o + 4, activate(b1, s->activation));
        wasm_v128_store(y + 2 * outs + o, activate(c0, s->activation));
        wasm_v128_store(y + 2 * outs + o + 4, activate(c1, s->activation));
        wasm_v128_store(y + 3 * outs + o, activate(d0, s->activation));
        wasm_v128_store(y + 3 * outs + o + 4, activate(d1, s->activation));
      } else {
        for (int i = 0; i < ins; i++, w += outs) {
          v128_t a = wasm_v128_load32_splat(x + i);
          a0 = fused(a0, a, wasm_v128_load(w)), a1 = fused(a1, a, wasm_v128_load(w + 4));
        }
      }
      wasm_v128_store(y + o, activate(a0, s->activation));
      wasm_v128_store(y + o + 4, activate(a1, s->activation));
    }
    pixel += many ? 4 : 1;
  }
}

/* Weights: [row][column][in][out] of a kernel over all channels, [row][column][channel] of a depthwise one. */
static void windowed(const Step *s) {
  int ins = s->channels, outs = s->out_channels, depthwise = s->kind == DEPTHWISE;
  const float *bias = weights + s->bias;
  for (int row = 0; row < s->out_height; row++) {
    for (int column = 0; column < s->out_width; column++) {
      int top = row * s->stride - s->pad_y, left = column * s->stride - s->pad_x;
      int first_y = top < 0 ? -top : 0, first_x = left < 0 ? -left : 0;
      int last_y = s->height - top < s->size ? s->height - top : s->size;
      int last_x = s->width - left < s->size ? s->width - left : s->size;
      float *y = arena + s->out + (row * s->out_width + column) * outs;
      for (int o = 0; o < outs; o += 4) {
        v128_t sum = wasm_v128_load(bias + o);
        for (int ky = first_y; ky < last_y; ky++) {
          for (int kx = first_x; kx < last_x; kx++) {
            const float *x = arena + s->in + ((top + ky) * s->width + left + kx) * ins;
            const float *w = weights + s->weights + o;
            if (depthwise) {
              w += (ky * s->size + kx) * ins;
              sum = fused(sum, wasm_v128_load(x + o), wasm_v128_load(w));
            } else {
              w += (ky * s->size + kx) * ins * outs;
              for (int i = 0; i < ins; i++, w += outs)
                sum = fused(sum, wasm_v128_load32_splat(x + i), wasm_v128_load(w));
            }
          }
        }
        wasm_v128_store(y + o, activate(sum, s->activation));
      }
    }
  }
}

static void mean(const Step *s) {
  int pixels = s->height * s->width, channels = s->channels;
  v128_t share = wasm_f32x4_splat(1.0f / (float)pixels);
  for (int c = 0; c < channels; c += 4) {
    v128_t sum = wasm_f32x4_splat(0);
    const float *x = arena + s->in + c;
    for (int pixel = 0; pixel < pixels; pixel++, x += channels) sum = wasm_f32x4_add(sum, wasm_v128_load(x));
    wasm_v128_store(arena + s->out + c, wasm_f32x4_mul(sum, share));
  }
}

static void combine(const Step *s) {
  int channels = s->channels, count = s->height * s->width * channels;
  const float *x = arena + s->in, *other = arena + s->other;
  float *y = arena + s->out;
  for (int i = 0; i < count; i += channels) {
    for (int c = 0; c < channels; c += 4) {
      v128_t a = wasm_v128_load(x + i + c);
      v128_t b = wasm_v128_load(s->kind == SCALE ? other + c : other + i + c);
      wasm_v128_store(y + i + c, s->kind == SCALE ? wasm_f32x4_mul(a, b) : wasm_f32x4_add(a, b));
    }
  }
}

/* Twice as large, bilinear, centres of pixels kept. */
static void resize(const Step *s) {
  int channels = s->channels;
  for (int row = 0; row < s->out_height; row++) {
    int y0 = (row - 1) >> 1, y1 = y0 + 1 < s->height ? y0 + 1 : s->height - 1;
    float fy = row & 1 ? 0.25f : 0.75f;
    if (y0 < 0) y0 = 0;
    for (int column = 0; column < s->out_width; column++) {
      int x0 = (column - 1) >> 1, x1 = x0 + 1 < s->width ? x0 + 1 : s->width - 1;
      float fx = column & 1 ? 0.25f : 0.75f;
      if (x0 < 0) x0 = 0;
      const float *x = arena + s->in;
      const float *a = x + (y0 * s->width + x0) * channels, *b = x + (y0 * s->width + x1) * channels;
      const float *c = x + (y1 * s->width + x0) * channels, *d = x + (y1 * s->width + x1) * channels;
      float *y = arena + s->out + (row * s->out_width + column) * channels;
      v128_t wa = wasm_f32x4_splat((1 - fy) * (1 - fx)), wb = wasm_f32x4_splat((1 - fy) * fx);
      v128_t wc = wasm_f32x4_splat(fy * (1 - fx)), wd = wasm_f32x4_splat(fy * fx);
      for (int i = 0; i < channels; i += 4) {
        v128_t sum = wasm_f32x4_mul(wasm_v128_load(a + i), wa);
        sum = fused(sum, wasm_v128_load(b + i), wb);
        sum = fused(sum, wasm_v128_load(c + i), wc);
        wasm_v128_store(y + i, fused(sum, wasm_v128_load(d + i), wd));
      }
    }
  }
}

/* Two by two, stride two, one channel out. Weights: [row][column][in]. */
static void transposed(const Step *s) {
  for (int row = 0; row < s->out_height; row++) {
    for (int column = 0; column < s->out_width; column++) {
      const float *x = arena + s->in + ((row >> 1) * s->width + (column >> 1)) * s->channels;
      const float *w = weights + s->weights + ((row & 1) * 2 + (column & 1)) * s->channels;
      float sum = weights[s->bias];
      for (int i = 0; i < s->channels; i++) sum += x[i] * w[i];
      arena[s->out + row * s->out_width + column] = logistic(sum);
    }
  }
}

/* Where the file is to be put; `length` bytes of room are made. 0: there is no memory. */
__attribute__((export_name("place"))) void *place(int length) {
  unsigned long base = ((unsigned long)&__heap_base + 15) & ~15ul;
  unsigned long missing = (base + (unsigned long)length + 65535) / 65536;
  unsigned long present = __builtin_wasm_memory_size(0);
  if (missing > present && __builtin_wasm_memory_grow(0, missing - present) == (unsigned long)-1) return 0;
  return (void *)base;
}

/* Takes the file that was put at `place(length)`. 0: it is none, or there is no memory. */
__attribute__((export_name("load"))) int load(int length) {
  unsigned char *file = place(length);
  head = (const Head *)file;
  if (head->magic != MAGIC) return 0;
  steps = (const Step *)(head + 1);
  const unsigned short *halves = (const unsigned short *)(steps + head->steps);
  int used = (length + 15) & ~15;
  if (!place(used + 4 * (head->weights + head->arena))) return 0;
  weights = (float *)(file + used);
  arena = weights + head->weights;
  for (int i = 0; i < head->weights; i++) weights[i] = half(halves[i]);
  return 1;
}

/* 256 by 144 pixels of red, green and blue, 0 to 1. */
__attribute__((export_name("input"))) float *input(void) {
  return arena + head->input;
}

/* 256 by 144 times how surely there is the person, 0 to 1. */
__attribute__((export_name("output"))) float *output(void) {
  return arena + head->output;
}

__attribute__((export_name("run"))) void run(void) {
  for (int i = 0; i < head->steps; i++) {
    const Step *s = steps + i;
    switch (s->kind) {
      case POINTWISE: pointwise(s); break;
      case CONVOLUTION: case DEPTHWISE: windowed(s); break;
      case MEAN: mean(s); break;
      case SCALE: case ADD: combine(s); break;
      case RESIZE: resize(s); break;
      case TRANSPOSED: transposed(s); break;
    }
  }
}
