// Attention within windows, compiled for a number of channels per head, HEAD, a multiple of 4, and a type, VALUE. Nothing
// of the size of all scores is stored; a warp computes the scores of 16 rows and 8 columns at a time.
//
// Scores are kept in units of 1 / scale: products plus the prepared bias. Their exponentials are powers of 2 of scores
// times `factor`, which is scale / ln 2.

typedef VALUE T;

#define ATTENTION_THREADS 256
// Rows in shared memory, in tiles of 8.
#define STEP 64
#define TILES (STEP / 8)
// Channels per head in tiles of 8, the last filled with zeros.
#define WIDTH ((HEAD + 7) / 8)
// Values between rows in shared memory: an odd number of 8, against bank conflicts.
#define PITCH (8 * (WIDTH | 1))
#define LOG2_E 1.44269504088896341f
#define INFINITE __int_as_float(0x7f800000)

struct Windows {
    // Tokens of a window.
    u32 n;
    u32 heads;
    // Windows of a case, or 0 without regions.
    u32 in_case;
    // Rows and row pitch of the prepared bias: n in tiles of 16 and of 8.
    u32 rows;
    u32 pitch;
    float scale;
    float factor;
    // Added between tokens of different regions, in units of scores.
    float apart;
};

// The bias in units of scores, [heads, rows, pitch], and its transpose where not null; minus infinity in columns past
// the end.
extern "C" __global__ void prepare_bias(const float* __restrict__ bias, float* __restrict__ into,
                                        float* __restrict__ transposed, Windows w) {
    u32 count = w.heads * w.rows * w.pitch, step = gridDim.x * blockDim.x;
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        u32 column = i % w.pitch, rest = i / w.pitch, row = rest % w.rows;
        const float* own = bias + (u64)(rest / w.rows) * w.n * w.n;
        float value = 0, turned = 0;
        if (column >= w.n) {
            value = turned = -INFINITE;
        } else if (row < w.n) {
            value = own[(u64)row * w.n + column] / w.scale;
            turned = own[(u64)column * w.n + row] / w.scale;
        }
        into[i] = value;
        if (transposed) transposed[i] = turned;
    }
}

__device__ __forceinline__ float power_of_2(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// Parts of qkv [windows, n, 3, heads, HEAD], of [windows, n, heads, HEAD] and of [windows, heads, n].
__device__ __forceinline__ u64 part_of(const Windows& w, u32 window, u32 part) {
    return ((u64)window * w.n * 3 + part) * w.heads * HEAD + blockIdx.y * HEAD;
}

__device__ __forceinline__ u64 output_of(const Windows& w, u32 window) {
    return (u64)window * w.n * w.heads * HEAD + blockIdx.y * HEAD;
}

__device__ __forceinline__ u64 rows_of(const Windows& w, u32 window) { return ((u64)window * w.heads + blockIdx.y) * w.n; }

// STEP rows into shared memory, zeros past the end.
__device__ __forceinline__ void stage(T* shared, const T* source, u32 stride, u32 first, u32 n) {
    typedef uint2 Unit;
    const u32 units = HEAD * sizeof(T) / sizeof(Unit), padded = 8 * WIDTH * sizeof(T) / sizeof(Unit);
    for (u32 i = threadIdx.x; i < STEP * padded; i += blockDim.x) {
        u32 row = i / padded, unit = i % padded;
        Unit value = make_uint2(0, 0);
        if (first + row < n && unit < units)
            value = reinterpret_cast<const Unit*>(source + (u64)(first + row) * stride)[unit];
        reinterpret_cast<Unit*>(shared + row * PITCH)[unit] = value;
    }
}

// Rows of a matrix for products: the lane's share of 16 rows, zeros past the end.
__device__ __forceinline__ void fragments(Pair<T> (&rows)[WIDTH][2], const T* source, u32 stride, u32 first, u32 n) {
    u32 lane = threadIdx.x % 32;
#pragma unroll
    for (int k = 0; k < WIDTH; k++) {
        u32 channel = 8 * k + lane % 4 * 2;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            u32 row = first + lane / 4 + 8 * half;
            make(0.0f, 0.0f, rows[k][half]);
            if (row < n && (HEAD % 8 == 0 || channel < HEAD)) rows[k][half] = row_pair(source + (u64)row * stride + channel);
        }
    }
}

// Adds the products of 16 rows with 8 rows in shared memory.
__device__ __forceinline__ void add_products(float (&sums)[4], const Pair<T> (&rows)[WIDTH][2], const T* shared) {
    u32 lane = threadIdx.x % 32;
    const T* own = shared + lane / 4 * PITCH + lane % 4 * 2;
#pragma unroll
    for (int k = 0; k < WIDTH; k++) multiply(sums, rows[k], row_pair(own + 8 * k));
}

// Adds 8 rows in shared memory times factors to each of 16 rows.
__device__ __forceinline__ void add_weighted(float (&sums)[WIDTH][4], const float (&factors)[4], const T* shared) {
    Pair<T> own[2];
    make(factors[0], factors[1], own[0]);
    make(factors[2], factors[3], own[1]);
#pragma unroll
    for (int e = 0; e < WIDTH; e++) multiply(sums[e], own, column_pair(shared + 8 * e, PITCH));
}

// Writes 16 rows times a factor for the upper and the lower ones.
__device__ __forceinline__ void write(const float (&sums)[WIDTH][4], T* into, u32 stride, u32 first, u32 n, float upper,
                                      float lower) {
    u32 lane = threadIdx.x % 32;
#pragma unroll
    for (int e = 0; e < WIDTH; e++) {
        u32 channel = 8 * e + lane % 4 * 2;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            u32 row = first + lane / 4 + 8 * half;
            float factor = half ? lower : upper;
            if (row < n && (HEAD % 8 == 0 || channel < HEAD)) {
                Pair<T> pair;
                make(sums[e][2 * half] * factor, sums[e][2 * half + 1] * factor, pair);
                *reinterpret_cast<Pair<T>*>(into + (u64)row * stride + channel) = pair;
            }
        }
    }
}

__device__ __forceinline__ float quad_sum(float value) {
    value += __shfl_xor_sync(0xffffffffu, value, 1);
    return value + __shfl_xor_sync(0xffffffffu, value, 2);
}

__device__ __forceinline__ float quad_maximum(float value) {
    value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, 1));
    return fmaxf(value, __shfl_xor_sync(0xffffffffu, value, 2));
}

// A lane's rows of scores: where their bias begins, and the regions of their tokens.
struct ScoreRows {
    const float* bias[2];
    int region[2];
    // Regions of the window's tokens; null without any.
    const int* regions;

    __device__ __forceinline__ ScoreRows(const int* all, const float* prepared, const Windows& w, u32 window, u32 first) {
        u32 lane = threadIdx.x % 32;
        regions = w.in_case ? all + (u64)(window % w.in_case) * w.n : (const int*)0;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            u32 row = min(first + lane / 4 + 8 * half, w.n - 1);
            bias[half] = prepared + ((u64)blockIdx.y * w.rows + row) * w.pitch + lane % 4 * 2;
            region[half] = regions ? regions[row] : 0;
        }
    }

    // Regions of STEP columns into shared memory. Returns whether they and those of the rows differ.
    __device__ __forceinline__ int stage_regions(int* shared, const Windows& w, u32 first) const {
        if (!regions) return 0;
        int one = regions[first], differ = region[0] != one || region[1] != one;
        for (u32 i = threadIdx.x; i < STEP; i += blockDim.x) {
            shared[i] = regions[min(first + i, w.n - 1)];
            differ |= shared[i] != one;
        }
        return differ;
    }

    // The bias of 8 columns.
    __device__ __forceinline__ void start(float (&scores)[4], u32 column) const {
        float2 upper = *reinterpret_cast<const float2*>(bias[0] + column);
        float2 lower = *reinterpret_cast<const float2*>(bias[1] + column);
        scores[0] = upper.x;
        scores[1] = upper.y;
        scores[2] = lower.x;
        scores[3] = lower.y;
    }

    // Lowers scores of 8 columns in other regions.
    __device__ __forceinline__ void separate(float (&scores)[4], const int* shared, const Windows& w) const {
        int2 columns = *reinterpret_cast<const int2*>(shared + threadIdx.x % 4 * 2);
#pragma unroll
        for (int half = 0; half < 2; half++) {
            if (columns.x != region[half]) scores[2 * half] += w.apart;
            if (columns.y != region[half]) scores[2 * half + 1] += w.apart;
        }
    }
};

// Grid: windows, heads, tiles of 16 rows per warp. Log sums [windows, heads, n].
extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)
    attend(const T* __restrict__ qkv, const float* __restrict__ bias, const int* __restrict__ regions,
           T* __restrict__ output, float* __restrict__ log_sums, Windows w) {
    __shared__ __align__(16) T keys[STEP * PITCH], values[STEP * PITCH];
    __shared__ __align__(8) int apart[STEP];
    u32 window = blockIdx.x, warps = blockDim.x / 32, stride = w.heads * HEAD;
    u32 first_row = (blockIdx.z * warps + threadIdx.x / 32) * 16;
    ScoreRows rows(regions, bias, w, window, first_row);
    Pair<T> queries[WIDTH][2];
    fragments(queries, qkv + part_of(w, window, 0), 3 * stride, first_row, w.n);
    float sums[WIDTH][4] = {}, top[2] = {-INFINITE, -INFINITE}, total[2] = {0, 0};
    for (u32 first = 0; first < w.n; first += STEP) {
        __syncthreads();
        stage(keys, qkv + part_of(w, window, 1), 3 * stride, first, w.n);
        stage(values, qkv + part_of(w, window, 2), 3 * stride, first, w.n);
        int mixed = __syncthreads_or(rows.stage_regions(apart, w, first));
        if (first_row >= w.n) continue;
        u32 columns = w.n - first;
        float p[TILES][4], largest[2] = {top[0], top[1]};
#pragma unroll
        for (int tile = 0; tile < TILES; tile++) {
            if (8 * tile < columns) {
                rows.start(p[tile], first + 8 * tile);
                add_products(p[tile], queries, keys + 8 * tile * PITCH);
                if (mixed) rows.separate(p[tile], apart + 8 * tile, w);
#pragma unroll
                for (int i = 0; i < 4; i++) largest[i / 2] = fmaxf(largest[i / 2], p[tile][i]);
            }
        }
        float shift[2];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            largest[half] = quad_maximum(largest[half]);
            float factor = power_of_2((top[half] - largest[half]) * w.factor);
            top[half] = largest[half];
            shift[half] = -top[half] * w.factor;
            total[half] *= factor;
#pragma unroll
            for (int e = 0; e < WIDTH; e++) {
                sums[e][2 * half] *= factor;
                sums[e][2 * half + 1] *= factor;
            }
        }
#pragma unroll
        for (int tile = 0; tile < TILES; tile++) {
            if (8 * tile < columns) {
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    p[tile][i] = power_of_2(fmaf(p[tile][i], w.factor, shift[i / 2]));
                    total[i / 2] += p[tile][i];
                }
                add_weighted(sums, p[tile], values + 8 * tile * PITCH);
            }
        }
    }
    if (first_row >= w.n) return;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        total[half] = quad_sum(total[half]);
        u32 row = first_row + threadIdx.x % 32 / 4 + 8 * half;
        if (threadIdx.x % 4 == 0 && row < w.n)
            log_sums[rows_of(w, window) + row] = fmaf(top[half], w.scale, logf(total[half]));
    }
    write(sums, output + output_of(w, window), stride, first_row, w.n, 1.0f / total[0], 1.0f / total[1]);
}

// A lane's numbers of a row each: minus the logarithm to base 2 of its sum, and the product of output and gradient.
struct RowNumbers {
    float shift[2];
    float along[2];

    __device__ __forceinline__ void load_rows(const float* log_sums, const float* all, const Windows& w, u32 window,
                                              u32 first) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            u32 row = min(first + threadIdx.x % 32 / 4 + 8 * half, w.n - 1);
            shift[half] = -log_sums[rows_of(w, window) + row] * LOG2_E;
            along[half] = all ? all[rows_of(w, window) + row] : 0.0f;
        }
    }

    // Replaces scores, and gradients by probabilities, by gradients by scores.
    __device__ __forceinline__ void slopes(const float (&scores)[4], float (&slopes)[4], const Windows& w) const {
#pragma unroll
        for (int i = 0; i < 4; i++)
            slopes[i] = power_of_2(fmaf(scores[i], w.factor, shift[i / 2])) * (slopes[i] - along[i / 2]);
    }
};

// The gradient by the queries, and the products of each row's output and gradient: along [windows, heads, n].
extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)
    attend_queries(const T* __restrict__ qkv, const float* __restrict__ bias, const int* __restrict__ regions,
                   const T* __restrict__ output, const float* __restrict__ log_sums, const T* __restrict__ gradient,
                   float* __restrict__ along, T* __restrict__ into, Windows w) {
    __shared__ __align__(16) T keys[STEP * PITCH], values[STEP * PITCH];
    __shared__ __align__(8) int apart[STEP];
    u32 window = blockIdx.x, warps = blockDim.x / 32, stride = w.heads * HEAD;
    u32 first_row = (blockIdx.z * warps + threadIdx.x / 32) * 16;
    ScoreRows rows(regions, bias, w, window, first_row);
    Pair<T> queries[WIDTH][2], upstream[WIDTH][2];
    fragments(queries, qkv + part_of(w, window, 0), 3 * stride, first_row, w.n);
    fragments(upstream, gradient + output_of(w, window), stride, first_row, w.n);
    RowNumbers numbers;
    numbers.load_rows(log_sums, (const float*)0, w, window, first_row);
    {
        Pair<T> own[WIDTH][2];
        fragments(own, output + output_of(w, window), stride, first_row, w.n);
#pragma unroll
        for (int k = 0; k < WIDTH; k++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                numbers.along[half] = fmaf(own[k][half].low(), upstream[k][half].low(), numbers.along[half]);
                numbers.along[half] = fmaf(own[k][half].high(), upstream[k][half].high(), numbers.along[half]);
            }
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
        numbers.along[half] = quad_sum(numbers.along[half]);
        u32 row = first_row + threadIdx.x % 32 / 4 + 8 * half;
        if (threadIdx.x % 4 == 0 && row < w.n) along[rows_of(w, window) + row] = numbers.along[half];
    }
    float sums[WIDTH][4] = {};
    for (u32 first = 0; first < w.n; first += STEP) {
        __syncthreads();
        stage(keys, qkv + part_of(w, window, 1), 3 * stride, first, w.n);
        stage(values, qkv + part_of(w, window, 2), 3 * stride, first, w.n);
        int mixed = __syncthreads_or(rows.stage_regions(apart, w, first));
        if (first_row >= w.n) continue;
        u32 columns = w.n - first;
#pragma unroll
        for (int tile = 0; tile < TILES; tile++) {
            if (8 * tile < columns) {
                float scores[4], slopes[4] = {};
                rows.start(scores, first + 8 * tile);
                add_products(scores, queries, keys + 8 * tile * PITCH);
                if (mixed) rows.separate(scores, apart + 8 * tile, w);
                add_products(slopes, upstream, values + 8 * tile * PITCH);
                numbers.slopes(scores, slopes, w);
                add_weighted(sums, slopes, keys + 8 * tile * PITCH);
            }
        }
    }
    write(sums, into + part_of(w, window, 0), 3 * stride, first_row, w.n, w.scale, w.scale);
}

// The gradients by keys and values. Rows are keys, columns queries, and the bias is the transposed one.
extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)
    attend_keys(const T* __restrict__ qkv, const float* __restrict__ bias, const int* __restrict__ regions,
                const float* __restrict__ log_sums, const T* __restrict__ gradient, const float* __restrict__ along,
                T* __restrict__ into, Windows w) {
    __shared__ __align__(16) T queries[STEP * PITCH], upstream[STEP * PITCH];
    __shared__ __align__(8) int apart[STEP];
    __shared__ __align__(8) float shifts[STEP], products[STEP];
    u32 window = blockIdx.x, warps = blockDim.x / 32, stride = w.heads * HEAD, pair = threadIdx.x % 4 * 2;
    u32 first_row = (blockIdx.z * warps + threadIdx.x / 32) * 16;
    ScoreRows rows(regions, bias, w, window, first_row);
    Pair<T> keys[WIDTH][2], values[WIDTH][2];
    fragments(keys, qkv + part_of(w, window, 1), 3 * stride, first_row, w.n);
    fragments(values, qkv + part_of(w, window, 2), 3 * stride, first_row, w.n);
    float to_keys[WIDTH][4] = {}, to_values[WIDTH][4] = {};
    for (u32 first = 0; first < w.n; first += STEP) {
        __syncthreads();
        stage(queries, qkv + part_of(w, window, 0), 3 * stride, first, w.n);
        stage(upstream, gradient + output_of(w, window), stride, first, w.n);
        int differ = rows.stage_regions(apart, w, first);
        for (u32 i = threadIdx.x; i < STEP; i += blockDim.x) {
            bool inside = first + i < w.n;
            u64 at = rows_of(w, window) + first + i;
            shifts[i] = inside ? -log_sums[at] * LOG2_E : 0.0f;
            products[i] = inside ? along[at] : 0.0f;
        }
        int mixed = __syncthreads_or(differ);
        if (first_row >= w.n) continue;
        u32 columns = w.n - first;
#pragma unroll
        for (int tile = 0; tile < TILES; tile++) {
            if (8 * tile < columns) {
                float p[4], slopes[4] = {};
                rows.start(p, first + 8 * tile);
                add_products(p, keys, queries + 8 * tile * PITCH);
                if (mixed) rows.separate(p, apart + 8 * tile, w);
                add_products(slopes, values, upstream + 8 * tile * PITCH);
                float2 shift = *reinterpret_cast<const float2*>(shifts + 8 * tile + pair);
                float2 product = *reinterpret_cast<const float2*>(products + 8 * tile + pair);
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    p[i] = power_of_2(fmaf(p[i], w.factor, i % 2 ? shift.y : shift.x));
                    slopes[i] = p[i] * (slopes[i] - (i % 2 ? product.y : product.x));
                }
                add_weighted(to_values, p, upstream + 8 * tile * PITCH);
                add_weighted(to_keys, slopes, queries + 8 * tile * PITCH);
            }
        }
    }
    write(to_keys, into + part_of(w, window, 1), 3 * stride, first_row, w.n, w.scale, w.scale);
    write(to_values, into + part_of(w, window, 2), 3 * stride, first_row, w.n, 1.0f, 1.0f);
}

// The gradient by the bias: sums over `share` windows, partials [groups, heads, n, n]. A block of 128 threads takes 64
// rows and STEP columns. Grid: tiles, heads, groups of windows.
extern "C" __global__ void __launch_bounds__(128)
    attend_bias(const T* __restrict__ qkv, const float* __restrict__ bias, const int* __restrict__ regions,
                const float* __restrict__ log_sums, const T* __restrict__ gradient, const float* __restrict__ along,
                float* __restrict__ partials, Windows w, u32 windows, u32 share) {
    __shared__ __align__(16) T keys[STEP * PITCH], values[STEP * PITCH];
    __shared__ __align__(8) int apart[STEP];
    u32 stride = w.heads * HEAD, lane = threadIdx.x % 32, across = (w.n + STEP - 1) / STEP;
    u32 first_row = blockIdx.x / across * 64 + threadIdx.x / 32 * 16, first = blockIdx.x % across * STEP;
    u32 columns = w.n - first;
    float sums[TILES][4] = {};
    u32 end = min((blockIdx.z + 1) * share, windows);
    for (u32 window = blockIdx.z * share; window < end; window++) {
        __syncthreads();
        stage(keys, qkv + part_of(w, window, 1), 3 * stride, first, w.n);
        stage(values, qkv + part_of(w, window, 2), 3 * stride, first, w.n);
        ScoreRows rows(regions, bias, w, window, first_row);
        int differ = rows.stage_regions(apart, w, first);
        Pair<T> queries[WIDTH][2], upstream[WIDTH][2];
        fragments(queries, qkv + part_of(w, window, 0), 3 * stride, first_row, w.n);
        fragments(upstream, gradient + output_of(w, window), stride, first_row, w.n);
        RowNumbers numbers;
        numbers.load_rows(log_sums, along, w, window, first_row);
        int mixed = __syncthreads_or(differ);
        if (first_row >= w.n) continue;
#pragma unroll
        for (int tile = 0; tile < TILES; tile++) {
            if (8 * tile < columns) {
                float scores[4], slopes[4] = {};
                rows.start(scores, first + 8 * tile);
                add_products(scores, queries, keys + 8 * tile * PITCH);
                if (mixed) rows.separate(scores, apart + 8 * tile, w);
                add_products(slopes, upstream, values + 8 * tile * PITCH);
                numbers.slopes(scores, slopes, w);
#pragma unroll
                for (int i = 0; i < 4; i++) sums[tile][i] += slopes[i];
            }
        }
    }
    float* into = partials + ((u64)blockIdx.z * w.heads + blockIdx.y) * w.n * w.n;
#pragma unroll
    for (int tile = 0; tile < TILES; tile++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            u32 row = first_row + lane / 4 + i / 2 * 8, column = first + 8 * tile + lane % 4 * 2 + i % 2;
            if (row < w.n && column < w.n) into[(u64)row * w.n + column] = sums[tile][i];
        }
}

// Sums over groups in their order.
extern "C" __global__ void combine_bias(const float* __restrict__ partials, float* __restrict__ into, u32 count,
                                        u32 groups) {
    u32 step = gridDim.x * blockDim.x;
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        double sum = 0;
        for (u32 group = 0; group < groups; group++) sum += partials[(u64)group * count + i];
        into[i] = (float)sum;
    }
}
