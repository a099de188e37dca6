// A libcuda.so.1 for tests: the part of the CUDA driver API that PyCUDA and our device use.
//
// Device memory is the arena of kernels.ptx, and what a driver does with modules and launches is
// done by the functions in `Executor`, which host.py gives to `fixture_connect`. All of it runs at
// once, so streams have nothing to wait for; they are counted. A stream that is captured keeps its
// launches in a graph instead, and takes nothing else. What PyCUDA links beyond this file is
// generated as "not supported" (see fixture.py). Never shipped, never a device of a node.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int Result;
typedef uint64_t Address;
typedef void *Handle;

enum {
    SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, DEINITIALIZED = 4, INVALID_DEVICE = 101,
    INVALID_IMAGE = 200, INVALID_CONTEXT = 201, INVALID_PTX = 218, INVALID_HANDLE = 400,
    NOT_FOUND = 500, ILLEGAL_ADDRESS = 700, LAUNCH_OUT_OF_RESOURCES = 701, LAUNCH_FAILED = 719,
    CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901
};

typedef struct Executor {
    Result (*allocate)(uint64_t size, Address *address);
    Result (*release)(Address address);
    Result (*holds)(Address address, uint64_t size);
    Result (*load)(const void *image, uint64_t size, uint64_t *module);
    Result (*unload)(uint64_t module);
    Result (*find)(uint64_t module, const char *name, uint64_t *function);
    Result (*launch)(uint64_t function, const uint32_t *sizes, const void *parameters,
                     uint64_t size);
    Result (*memory)(uint64_t *free_bytes, uint64_t *total_bytes);
} Executor;

static Executor executor;
static unsigned char *arena;
static Address origin;
static int capability;
static Result sticky;  // after a fault a context answers nothing else
static int initialised, disconnected;
static uint64_t live_contexts, live_streams, live_events, live_modules, stream_launches;
static uint64_t live_graphs, graph_starts, recorded_launches;

void fixture_connect(const Executor *given, void *base, Address first, int compute_capability) {
    executor = *given;
    arena = base;
    origin = first;
    capability = compute_capability;
}

// Python is about to end: objects that die later must not call into it.
void fixture_disconnect(void) { disconnected = 1; }

void fixture_counts(uint64_t *counts) {
    counts[0] = live_contexts;
    counts[1] = live_streams;
    counts[2] = live_events;
    counts[3] = live_modules;
    counts[4] = stream_launches;
    counts[5] = live_graphs;
    counts[6] = graph_starts;
    counts[7] = recorded_launches;
}

static void *host(Address address) { return arena + (address - origin); }

// ---- devices

Result cuInit(unsigned flags) {
    if (flags || !executor.allocate) return INVALID_VALUE;
    initialised = 1;
    return SUCCESS;
}
Result cuDriverGetVersion(int *version) { return *version = 13050, SUCCESS; }
Result cuDeviceGetCount(int *count) { return *count = 1, initialised ? SUCCESS : NOT_INITIALIZED; }
Result cuDeviceGet(int *device, int ordinal) {
    if (!initialised) return NOT_INITIALIZED;
    return *device = ordinal, ordinal == 0 ? SUCCESS : INVALID_DEVICE;
}
Result cuDeviceGetName(char *name, int size, int device) {
    return snprintf(name, size, "PTX fixture %d", device), SUCCESS;
}
Result cuDeviceComputeCapability(int *major, int *minor, int device) {
    (void)device;
    *major = capability / 10;
    *minor = capability % 10;
    return SUCCESS;
}
Result cuDeviceTotalMem_v2(size_t *size, int device) {
    (void)device;
    uint64_t rest, total;
    Result result = executor.memory(&rest, &total);
    *size = total;
    return result;
}
Result cuDeviceGetAttribute(int *value, int attribute, int device) {
    (void)device;
    switch (attribute) {
    case 1: *value = 1024; break;            // threads of a block
    case 2: case 3: *value = 1024; break;    // block x, y
    case 4: *value = 64; break;              // block z
    case 5: *value = 2147483647; break;      // grid x
    case 6: case 7: *value = 65535; break;   // grid y, z
    case 8: *value = 49152; break;           // shared memory of a block
    case 10: *value = 32; break;             // warp
    case 41: *value = 1; break;              // unified addressing
    case 75: *value = capability / 10; break;
    case 76: *value = capability % 10; break;
    default: *value = 0;
    }
    return SUCCESS;
}

// ---- contexts: a stack, each made by the thread that uses it

typedef struct Context { struct Context *below; int users; } Context;
static _Thread_local Context *current;

Result cuCtxCreate_v2(Handle *context, unsigned flags, int device) {
    (void)flags, (void)device;
    Context *made = calloc(1, sizeof *made);
    made->below = current;
    made->users = 1;
    current = made;
    *context = made;
    live_contexts += 1;
    return SUCCESS;
}
Result cuCtxCreate_v4(Handle *context, void *parameters, unsigned flags, int device) {
    (void)parameters;
    return cuCtxCreate_v2(context, flags, device);
}
Result cuCtxPopCurrent_v2(Handle *context) {
    if (!current) return INVALID_CONTEXT;
    if (context) *context = current;
    current = current->below;
    return SUCCESS;
}
Result cuCtxPushCurrent_v2(Handle context) {
    ((Context *)context)->below = current;
    current = context;
    return SUCCESS;
}
Result cuCtxGetCurrent(Handle *context) { return *context = current, SUCCESS; }
Result cuCtxGetDevice(int *device) { return *device = 0, current ? SUCCESS : INVALID_CONTEXT; }
Result cuCtxDestroy_v2(Handle context) {
    if (current == context) current = current->below;
    free(context);
    live_contexts -= 1;
    if (!live_contexts) sticky = SUCCESS;  // a new context starts afresh
    return SUCCESS;
}
Result cuCtxDetach(Handle context) { return cuCtxDestroy_v2(context); }
Result cuCtxSynchronize(void) { return current ? sticky : INVALID_CONTEXT; }

// ---- graphs: the launches of a stream between the beginning and the end of its capture

typedef struct Launch {
    uint64_t function, size;
    uint32_t sizes[7];
    void *parameters;
} Launch;
typedef struct Graph { uint64_t count; Launch *launches; } Graph;
static Graph *captured;  // of `captured_stream`, while it is captured
static Handle captured_stream;
static int capture_broken;

#define ALIVE                                    \
    do {                                         \
        if (disconnected) return DEINITIALIZED;  \
        if (!current) return INVALID_CONTEXT;    \
        if (sticky) return sticky;               \
    } while (0)

// A real driver forbids this during a capture, and the capture is lost.
#define READY                                                          \
    do {                                                               \
        ALIVE;                                                         \
        if (captured) return capture_broken = 1, CAPTURE_UNSUPPORTED;  \
    } while (0)

static void *copy_of(const void *data, uint64_t size) {
    return memcpy(malloc(size + 1), data, size);
}
static Result record(Launch launch) {
    recorded_launches += 1;
    captured->launches
        = realloc(captured->launches, (captured->count + 1) * sizeof *captured->launches);
    launch.parameters = copy_of(launch.parameters, launch.size);
    captured->launches[captured->count++] = launch;
    return SUCCESS;
}
static void discard(Graph *graph) {
    for (uint64_t i = 0; i < graph->count; ++i) free(graph->launches[i].parameters);
    free(graph->launches);
    free(graph);
}
static Result run(const Launch *launch) {
    Result result
        = executor.launch(launch->function, launch->sizes, launch->parameters, launch->size);
    if (result != ILLEGAL_ADDRESS && result != LAUNCH_FAILED) return result;
    sticky = result;
    return SUCCESS;  // as on a card: the launch is accepted, and the next call tells
}

Result cuStreamBeginCapture_v2(Handle stream, int mode) {
    READY;
    if (!stream || mode < 0 || mode > 2) return INVALID_VALUE;
    captured = calloc(1, sizeof *captured);
    captured_stream = stream;
    capture_broken = 0;
    return SUCCESS;
}
Result cuStreamEndCapture(Handle stream, Handle *graph) {
    ALIVE;
    if (!captured || stream != captured_stream) return INVALID_VALUE;
    *graph = captured;
    captured = 0;
    live_graphs += 1;
    if (!capture_broken) return SUCCESS;
    discard(*graph);
    live_graphs -= 1;
    return *graph = 0, CAPTURE_INVALIDATED;
}
Result cuGraphInstantiateWithFlags(Handle *runnable, Handle graph, unsigned long long flags) {
    READY;
    if (flags || !graph) return INVALID_VALUE;
    const Graph *from = graph;
    Graph *made = calloc(1, sizeof *made);
    made->count = from->count;
    made->launches = copy_of(from->launches, from->count * sizeof *from->launches);
    for (uint64_t i = 0; i < made->count; ++i)
        made->launches[i].parameters = copy_of(from->launches[i].parameters, from->launches[i].size);
    live_graphs += 1;
    return *runnable = made, SUCCESS;
}
Result cuGraphDestroy(Handle graph) {
    if (!graph) return INVALID_VALUE;
    discard(graph);
    live_graphs -= 1;
    return SUCCESS;
}
Result cuGraphExecDestroy(Handle runnable) { return cuGraphDestroy(runnable); }
Result cuGraphLaunch(Handle runnable, Handle stream) {
    READY;
    if (!runnable || !stream) return INVALID_VALUE;
    const Graph *graph = runnable;
    graph_starts += 1;
    for (uint64_t i = 0; i < graph->count && !sticky; ++i) {
        Result result = run(&graph->launches[i]);
        if (result) return result;
    }
    return SUCCESS;
}

// ---- memory

Result cuMemAlloc_v2(Address *address, size_t size) {
    READY;
    return executor.allocate(size, address);
}
Result cuMemFree_v2(Address address) {
    READY;
    return executor.release(address);
}
Result cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes) {
    READY;
    uint64_t rest, total;
    Result result = executor.memory(&rest, &total);
    *free_bytes = rest;
    *total_bytes = total;
    return result;
}
Result cuMemcpyHtoD_v2(Address to, const void *from, size_t size) {
    READY;
    Result result = executor.holds(to, size);
    if (!result) memcpy(host(to), from, size);
    return result;
}
Result cuMemcpyDtoH_v2(void *to, Address from, size_t size) {
    READY;
    Result result = executor.holds(from, size);
    if (!result) memcpy(to, host(from), size);
    return result;
}
Result cuMemcpyDtoD_v2(Address to, Address from, size_t size) {
    READY;
    Result result = executor.holds(from, size);
    if (!result) result = executor.holds(to, size);
    if (!result) memmove(host(to), host(from), size);
    return result;
}
Result cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t size, Handle stream) {
    (void)stream;
    return cuMemcpyHtoD_v2(to, from, size);
}
Result cuMemcpyDtoHAsync_v2(void *to, Address from, size_t size, Handle stream) {
    (void)stream;
    return cuMemcpyDtoH_v2(to, from, size);
}
Result cuMemsetD8_v2(Address to, unsigned char value, size_t size) {
    READY;
    Result result = executor.holds(to, size);
    if (!result) memset(host(to), value, size);
    return result;
}
Result cuMemsetD8Async(Address to, unsigned char value, size_t size, Handle stream) {
    (void)stream;
    return cuMemsetD8_v2(to, value, size);
}

// ---- modules: PTX is run, a cubin is looked at (its kernels can be found, not launched)

static uint64_t elf_size(const unsigned char *image) {
    uint64_t sections, size;
    uint16_t entry, count;
    memcpy(&sections, image + 40, 8);
    memcpy(&entry, image + 58, 2);
    memcpy(&count, image + 60, 2);
    size = sections + (uint64_t)entry * count;
    for (uint16_t i = 0; i < count; ++i) {
        uint32_t type;
        uint64_t offset, length;
        memcpy(&type, image + sections + (uint64_t)i * entry + 4, 4);
        memcpy(&offset, image + sections + (uint64_t)i * entry + 24, 8);
        memcpy(&length, image + sections + (uint64_t)i * entry + 32, 8);
        if (type != 8 && offset + length > size) size = offset + length;
    }
    return size;
}

Result cuModuleLoadDataEx(Handle *module, const void *image, unsigned n, int *options, void **v) {
    READY;
    for (unsigned i = 0; i < n; ++i) {  // empty logs: 3 and 5 are buffers, 4 and 6 their sizes
        if (options[i] == 3 || options[i] == 5) *(char *)v[i] = 0;
        if (options[i] == 4 || options[i] == 6) v[i] = 0;
    }
    uint64_t number = 0, size = memcmp(image, "\177ELF", 4) ? strlen(image) : elf_size(image);
    Result result = executor.load(image, size, &number);
    if (!result) live_modules += 1;
    *module = (Handle)number;
    return result;
}
Result cuModuleLoadData(Handle *module, const void *image) {
    return cuModuleLoadDataEx(module, image, 0, 0, 0);
}
Result cuModuleUnload(Handle module) {
    live_modules -= 1;
    if (disconnected) return DEINITIALIZED;
    return executor.unload((uint64_t)module);
}
Result cuModuleGetFunction(Handle *function, Handle module, const char *name) {
    READY;
    uint64_t number = 0;
    Result result = executor.find((uint64_t)module, name, &number);
    *function = (Handle)number;
    return result;
}
Result cuFuncSetBlockShape(Handle function, int x, int y, int z) {
    (void)function;  // the launch says it again
    return x > 0 && y > 0 && z > 0 ? SUCCESS : INVALID_VALUE;
}
Result cuFuncGetAttribute(int *value, int attribute, Handle function) {
    (void)function;
    return *value = attribute == 0 ? 1024 : 0, SUCCESS;
}

// ---- launches: PyCUDA passes all parameters in one buffer

Result cuLaunchKernel(Handle function, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                      unsigned by, unsigned bz, unsigned shared, Handle stream, void **parameters,
                      void **extra) {
    ALIVE;
    if (parameters || !extra) return INVALID_VALUE;
    Launch launch = {.function = (uint64_t)function, .sizes = {gx, gy, gz, bx, by, bz, shared}};
    for (; *extra; extra += 2) {
        if ((uintptr_t)extra[0] == 1) launch.parameters = extra[1];
        if ((uintptr_t)extra[0] == 2) launch.size = *(size_t *)extra[1];
    }
    if (captured && stream == captured_stream) return record(launch);
    READY;
    if (stream) stream_launches += 1;
    return run(&launch);
}

// ---- streams and events

Result cuStreamCreate(Handle *stream, unsigned flags) {
    (void)flags;
    READY;
    live_streams += 1;
    return *stream = malloc(1), SUCCESS;
}
Result cuStreamDestroy_v2(Handle stream) {
    free(stream);
    live_streams -= 1;
    return SUCCESS;
}
Result cuStreamSynchronize(Handle stream) {
    (void)stream;
    READY;
    return SUCCESS;
}
Result cuStreamQuery(Handle stream) { return (void)stream, sticky; }
Result cuStreamWaitEvent(Handle stream, Handle event, unsigned flags) {
    (void)stream, (void)event, (void)flags;
    return sticky;
}
Result cuEventCreate(Handle *event, unsigned flags) {
    (void)flags;
    READY;
    live_events += 1;
    return *event = calloc(1, sizeof(struct timespec)), SUCCESS;
}
Result cuEventDestroy_v2(Handle event) {
    free(event);
    live_events -= 1;
    return SUCCESS;
}
Result cuEventRecord(Handle event, Handle stream) {
    (void)stream;
    clock_gettime(CLOCK_MONOTONIC, event);
    return sticky;
}
Result cuEventSynchronize(Handle event) { return (void)event, sticky; }
Result cuEventQuery(Handle event) { return (void)event, sticky; }
Result cuEventElapsedTime_v2(float *ms, Handle start, Handle end) {
    struct timespec *a = start, *b = end;
    *ms = (b->tv_sec - a->tv_sec) * 1e3f + (b->tv_nsec - a->tv_nsec) * 1e-6f;
    return sticky;
}
Result cuEventElapsedTime(float *ms, Handle start, Handle end) {
    return cuEventElapsedTime_v2(ms, start, end);
}

// ---- errors

Result cuGetErrorString(Result error, const char **text) {
    static const struct { Result error; const char *text; } texts[] = {
        {SUCCESS, "no error"},
        {INVALID_VALUE, "invalid argument"},
        {OUT_OF_MEMORY, "out of memory"},
        {NOT_INITIALIZED, "initialization error"},
        {INVALID_DEVICE, "invalid device ordinal"},
        {INVALID_IMAGE, "device kernel image is invalid"},
        {INVALID_CONTEXT, "invalid device context"},
        {INVALID_PTX, "a PTX JIT compilation failed"},
        {INVALID_HANDLE, "invalid resource handle"},
        {NOT_FOUND, "named symbol not found"},
        {ILLEGAL_ADDRESS, "an illegal memory access was encountered"},
        {LAUNCH_OUT_OF_RESOURCES, "too many resources requested for launch"},
        {LAUNCH_FAILED, "unspecified launch failure"},
        {CAPTURE_UNSUPPORTED, "operation not permitted when stream is capturing"},
        {CAPTURE_INVALIDATED, "operation failed due to a previous error during capture"},
    };
    *text = "operation not supported";
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; ++i)
        if (texts[i].error == error) *text = texts[i].text;
    return SUCCESS;
}

// NVRTC looks for private tables of the driver once a libcuda is loaded.
Result cuGetExportTable(const void **table, const void *id) {
    (void)id;
    return *table = 0, NOT_FOUND;
}
