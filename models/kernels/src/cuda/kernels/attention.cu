// Attention within windows, compiled for a number of channels per head, HEAD, a multiple of 4, and a type, VALUE. Nothing of
// the size of the scores is stored; a warp computes the scores of 16 rows and STEP columns at a time.

typedef VALUE T;

#define ATTENTION_THREADS 256
#define STEP 64
#define TILES (STEP / 8)
// Channels per head in tiles of 8, the last filled with zeros.
#define WIDTH ((HEAD + 7) / 8)
// Values between rows in shared memory: an odd number of 8, against bank conflicts.
#define PITCH (8 * (WIDTH | 1))
#define LOG2_E 1.44269504088896341f
#define LN_2 0.693147180559945309f
#define INFINITE __int_as_float(0x7f800000)

struct Windows {
    // Tokens of a window.
    u32 n;
    u32 heads;
    // Windows of a case, or 0 without regions.
    u32 in_case;
    float scale;
    // Added between tokens of different regions.
    float apart;
};

__device__ __forceinline__ float power_of_2(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// Parts of qkv [windows, n, 3, heads, HEAD] and of [windows, n, heads, HEAD].
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

// Products of 16 rows with the rows in shared memory, of which `columns` count.
__device__ __forceinline__ void products(float (&sums)[TILES][4], const Pair<T> (&rows)[WIDTH][2], const T* shared,
                                         u32 columns) {
    u32 lane = threadIdx.x % 32;
#pragma unroll
    for (int tile = 0; tile < TILES; tile++) {
#pragma unroll
        for (int i = 0; i < 4; i++) sums[tile][i] = 0;
        if (8 * tile < columns) {
            const T* own = shared + (8 * tile + lane / 4) * PITCH + lane % 4 * 2;
#pragma unroll
            for (int k = 0; k < WIDTH; k++) multiply(sums[tile], rows[k], row_pair(own + 8 * k));
        }
    }
}

// Adds the product of 16 × STEP factors with the rows in shared memory.
__device__ __forceinline__ void accumulate(float (&sums)[WIDTH][4], const float (&factors)[TILES][4], const T* shared,
                                           u32 columns) {
#pragma unroll
    for (int tile = 0; tile < TILES; tile++) {
        if (8 * tile < columns) {
            Pair<T> own[2];
            make(factors[tile][0], factors[tile][1], own[0]);
            make(factors[tile][2], factors[tile][3], own[1]);
#pragma unroll
            for (int e = 0; e < WIDTH; e++) multiply(sums[e], own, column_pair(shared + 8 * tile * PITCH + 8 * e, PITCH));
        }
    }
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

__device__ __forceinline__ const int* regions_of(const int* regions, const Windows& w, u32 window) {
    return regions + (w.in_case ? (u64)(window % w.in_case) * w.n : 0);
}

__device__ __forceinline__ int region_at(const int* regions, const Windows& w, u32 token) {
    return w.in_case && token < w.n ? regions[token] : 0;
}

// A lane's rows of queries: their bias, region, and numbers of the softmax.
struct QueryRows {
    const float* bias[2];
    int region[2];

    __device__ __forceinline__ QueryRows(const float* all, const int* regions, const Windows& w, u32 first) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            u32 row = first + threadIdx.x % 32 / 4 + 8 * half;
            bias[half] = all + ((u64)blockIdx.y * w.n + min(row, w.n - 1)) * w.n;
            region[half] = region_at(regions, w, row);
        }
    }

    // Scores in units of the logarithm of 2 from products; minus infinity past the end.
    __device__ __forceinline__ void scores(float (&sums)[TILES][4], const int* apart, const Windows& w,
                                           u32 first) const {
        u32 lane = threadIdx.x % 32;
        float scale = w.scale * LOG2_E;
#pragma unroll
        for (int tile = 0; tile < TILES; tile++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                u32 local = 8 * tile + lane % 4 * 2 + i % 2, column = first + local;
                float score = -INFINITE;
                if (column < w.n) {
                    float added = bias[i / 2][column];
                    if (w.in_case && apart[local] != region[i / 2]) added += w.apart;
                    score = fmaf(sums[tile][i], scale, added * LOG2_E);
                }
                sums[tile][i] = score;
            }
        }
    }
};

// Grid: windows, heads, tiles of 16 rows per warp. Log sums [windows, heads, n].
extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)
    attend(const T* __restrict__ qkv, const float* __restrict__ bias, const int* __restrict__ regions,
           T* __restrict__ output, float* __restrict__ log_sums, Windows w) {
    __shared__ __align__(16) T keys[STEP * PITCH], values[STEP * PITCH];
    __shared__ int apart[STEP];
    u32 window = blockIdx.x, warps = blockDim.x / 32, channels = w.heads * HEAD;
    u32 first_row = (blockIdx.z * warps + threadIdx.x / 32) * 16;
    const int* own = regions_of(regions, w, window);
    Pair<T> queries[WIDTH][2];
    fragments(queries, qkv + part_of(w, window, 0), 3 * channels, first_row, w.n);
    QueryRows rows(bias, own, w, first_row);
    float sums[WIDTH][4] = {}, top[2] = {-INFINITE, -INFINITE}, total[2] = {0, 0};
    for (u32 first = 0; first < w.n; first += STEP) {
        __syncthreads();
        stage(keys, qkv + part_of(w, window, 1), 3 * channels, first, w.n);
        stage(values, qkv + part_of(w, window, 2), 3 * channels, first, w.n);
        for (u32 i = threadIdx.x; i < STEP; i += blockDim.x) apart[i] = region_at(own, w, first + i);
        __syncthreads();
        if (first_row >= w.n) continue;
        float p[TILES][4];
        products(p, queries, keys, w.n - first);
        rows.scores(p, apart, w, first);
        float largest[2] = {top[0], top[1]};
#pragma unroll
        for (int tile = 0; tile < TILES; tile++)
#pragma unroll
            for (int i = 0; i < 4; i++) largest[i / 2] = fmaxf(largest[i / 2], p[tile][i]);
#pragma unroll
        for (int half = 0; half < 2; half++) {
            largest[half] = quad_maximum(largest[half]);
            float factor = power_of_2(top[half] - largest[half]);
            top[half] = largest[half];
            total[half] *= factor;
#pragma unroll
            for (int e = 0; e < WIDTH; e++) {
                sums[e][2 * half] *= factor;
                sums[e][2 * half + 1] *= factor;
            }
        }
#pragma unroll
        for (int tile = 0; tile < TILES; tile++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                p[tile][i] = power_of_2(p[tile][i] - top[i / 2]);
                total[i / 2] += p[tile][i];
            }
        accumulate(sums, p, values, w.n - first);
    }
    if (first_row >= w.n) return;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        total[half] = quad_sum(total[half]);
        u32 row = first_row + threadIdx.x % 32 / 4 + 8 * half;
        if (threadIdx.x % 4 == 0 && row < w.n)
            log_sums[rows_of(w, window) + row] = (top[half] + log2f(total[half])) * LN_2;
    }
    write(sums, output + output_of(w, window), channels, first_row, w.n, 1.0f / total[0], 1.0f / total[1]);
}

// Probabilities, and gradients by the scores, of 16 queries and STEP keys.
__device__ __forceinline__ void gradients_by_scores(float (&p)[TILES][4], float (&slopes)[TILES][4],
                                                    const float (&log_sum)[2], const float (&along)[2]) {
#pragma unroll
    for (int tile = 0; tile < TILES; tile++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            p[tile][i] = power_of_2(p[tile][i] - log_sum[i / 2]);
            slopes[tile][i] = p[tile][i] * (slopes[tile][i] - along[i / 2]);
        }
}

// The gradient by the queries, and the products of each row's output and gradient: along [windows, heads, n].
extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)
    attend_queries(const T* __restrict__ qkv, const float* __restrict__ bias, const int* __restrict__ regions,
                   const T* __restrict__ output, const float* __restrict__ log_sums, const T* __restrict__ gradient,
                   float* __restrict__ along, T* __restrict__ into, Windows w) {
    __shared__ __align__(16) T keys[STEP * PITCH], values[STEP * PITCH];
    __shared__ int apart[STEP];
    u32 window = blockIdx.x, warps = blockDim.x / 32, channels = w.heads * HEAD;
    u32 first_row = (blockIdx.z * warps + threadIdx.x / 32) * 16;
    const int* own = regions_of(regions, w, window);
    Pair<T> queries[WIDTH][2], slopes_out[WIDTH][2];
    fragments(queries, qkv + part_of(w, window, 0), 3 * channels, first_row, w.n);
    fragments(slopes_out, gradient + output_of(w, window), channels, first_row, w.n);
    QueryRows rows(bias, own, w, first_row);
    float products_out[2] = {0, 0}, log_sum[2];
    {
        Pair<T> out[WIDTH][2];
        fragments(out, output + output_of(w, window), channels, first_row, w.n);
#pragma unroll
        for (int k = 0; k < WIDTH; k++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                products_out[half] = fmaf(out[k][half].low(), slopes_out[k][half].low(), products_out[half]);
                products_out[half] = fmaf(out[k][half].high(), slopes_out[k][half].high(), products_out[half]);
            }
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
        products_out[half] = quad_sum(products_out[half]);
        u32 row = first_row + threadIdx.x % 32 / 4 + 8 * half;
        log_sum[half] = row < w.n ? log_sums[rows_of(w, window) + row] * LOG2_E : INFINITE;
        if (threadIdx.x % 4 == 0 && row < w.n) along[rows_of(w, window) + row] = products_out[half];
    }
    float sums[WIDTH][4] = {};
    for (u32 first = 0; first < w.n; first += STEP) {
        __syncthreads();
        stage(keys, qkv + part_of(w, window, 1), 3 * channels, first, w.n);
        stage(values, qkv + part_of(w, window, 2), 3 * channels, first, w.n);
        for (u32 i = threadIdx.x; i < STEP; i += blockDim.x) apart[i] = region_at(own, w, first + i);
        __syncthreads();
        if (first_row >= w.n) continue;
        float p[TILES][4], slopes[TILES][4];
        products(p, queries, keys, w.n - first);
        rows.scores(p, apart, w, first);
        products(slopes, slopes_out, values, w.n - first);
        gradients_by_scores(p, slopes, log_sum, products_out);
        accumulate(sums, slopes, keys, w.n - first);
    }
    write(sums, into + part_of(w, window, 0), 3 * channels, first_row, w.n, w.scale, w.scale);
}

// The gradients by keys and values. Rows are keys, columns queries.
extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)
    attend_keys(const T* __restrict__ qkv, const float* __restrict__ bias, const int* __restrict__ regions,
                const float* __restrict__ log_sums, const T* __restrict__ gradient, const float* __restrict__ along,
                T* __restrict__ into, Windows w) {
    __shared__ __align__(16) T queries[STEP * PITCH], slopes_out[STEP * PITCH];
    __shared__ int apart[STEP];
    __shared__ float log_sum[STEP], products_out[STEP];
    u32 window = blockIdx.x, warps = blockDim.x / 32, channels = w.heads * HEAD, lane = threadIdx.x % 32;
    u32 first_row = (blockIdx.z * warps + threadIdx.x / 32) * 16;
    const int* own = regions_of(regions, w, window);
    Pair<T> keys[WIDTH][2], values[WIDTH][2];
    fragments(keys, qkv + part_of(w, window, 1), 3 * channels, first_row, w.n);
    fragments(values, qkv + part_of(w, window, 2), 3 * channels, first_row, w.n);
    int region[2];
    const float* columns_bias[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        u32 row = first_row + lane / 4 + 8 * half;
        region[half] = region_at(own, w, row);
        columns_bias[half] = bias + (u64)blockIdx.y * w.n * w.n + min(row, w.n - 1);
    }
    float to_keys[WIDTH][4] = {}, to_values[WIDTH][4] = {}, scale = w.scale * LOG2_E;
    for (u32 first = 0; first < w.n; first += STEP) {
        __syncthreads();
        stage(queries, qkv + part_of(w, window, 0), 3 * channels, first, w.n);
        stage(slopes_out, gradient + output_of(w, window), channels, first, w.n);
        for (u32 i = threadIdx.x; i < STEP; i += blockDim.x) {
            bool inside = first + i < w.n;
            u64 at = rows_of(w, window) + first + i;
            apart[i] = region_at(own, w, first + i);
            log_sum[i] = inside ? log_sums[at] * LOG2_E : INFINITE;
            products_out[i] = inside ? along[at] : 0.0f;
        }
        __syncthreads();
        if (first_row >= w.n) continue;
        float p[TILES][4], slopes[TILES][4];
        products(p, keys, queries, w.n - first);
        products(slopes, values, slopes_out, w.n - first);
#pragma unroll
        for (int tile = 0; tile < TILES; tile++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                u32 local = 8 * tile + lane % 4 * 2 + i % 2, column = first + local;
                float probability = 0;
                if (column < w.n) {
                    float added = columns_bias[i / 2][(u64)column * w.n];
                    if (w.in_case && apart[local] != region[i / 2]) added += w.apart;
                    probability = power_of_2(fmaf(p[tile][i], scale, added * LOG2_E) - log_sum[local]);
                }
                p[tile][i] = probability;
                slopes[tile][i] = probability * (slopes[tile][i] - products_out[local]);
            }
        accumulate(to_values, p, slopes_out, w.n - first);
        accumulate(to_keys, slopes, queries, w.n - first);
    }
    write(to_keys, into + part_of(w, window, 1), 3 * channels, first_row, w.n, w.scale, w.scale);
    write(to_values, into + part_of(w, window, 2), 3 * channels, first_row, w.n, 1.0f, 1.0f);
}

// The gradient by the bias: sums over `share` windows, partials [groups, heads, n, n]. A block takes 64 rows and STEP
// columns. Grid: tiles, heads, groups of windows.
extern "C" __global__ void __launch_bounds__(128)
    attend_bias(const T* __restrict__ qkv, const float* __restrict__ bias, const int* __restrict__ regions,
                const float* __restrict__ log_sums, const T* __restrict__ gradient, const float* __restrict__ along,
                float* __restrict__ partials, Windows w, u32 windows, u32 share) {
    __shared__ __align__(16) T keys[STEP * PITCH], values[STEP * PITCH];
    __shared__ int apart[STEP];
    u32 channels = w.heads * HEAD, lane = threadIdx.x % 32, across = (w.n + STEP - 1) / STEP;
    u32 first_row = blockIdx.x / across * 64 + threadIdx.x / 32 * 16, first = blockIdx.x % across * STEP;
    float sums[TILES][4] = {};
    u32 end = min((blockIdx.z + 1) * share, windows);
    for (u32 window = blockIdx.z * share; window < end; window++) {
        const int* own = regions_of(regions, w, window);
        __syncthreads();
        stage(keys, qkv + part_of(w, window, 1), 3 * channels, first, w.n);
        stage(values, qkv + part_of(w, window, 2), 3 * channels, first, w.n);
        for (u32 i = threadIdx.x; i < STEP; i += blockDim.x) apart[i] = region_at(own, w, first + i);
        __syncthreads();
        if (first_row >= w.n) continue;
        Pair<T> queries[WIDTH][2], slopes_out[WIDTH][2];
        fragments(queries, qkv + part_of(w, window, 0), 3 * channels, first_row, w.n);
        fragments(slopes_out, gradient + output_of(w, window), channels, first_row, w.n);
        QueryRows rows(bias, own, w, first_row);
        float products_out[2], log_sum[2];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            u32 row = first_row + lane / 4 + 8 * half;
            log_sum[half] = row < w.n ? log_sums[rows_of(w, window) + row] * LOG2_E : INFINITE;
            products_out[half] = row < w.n ? along[rows_of(w, window) + row] : 0.0f;
        }
        float p[TILES][4], slopes[TILES][4];
        products(p, queries, keys, w.n - first);
        rows.scores(p, apart, w, first);
        products(slopes, slopes_out, values, w.n - first);
        gradients_by_scores(p, slopes, log_sum, products_out);
#pragma unroll
        for (int tile = 0; tile < TILES; tile++)
#pragma unroll
            for (int i = 0; i < 4; i++) sums[tile][i] += slopes[tile][i];
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
