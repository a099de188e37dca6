/* Compiled once for each instruction set; LEVEL names the result. */
#include "whisper_forward.h"

#define TABLE(level) const co_whisper_kernels co_whisper_##level = {encode, extend};
#define TABLE_OF(level) TABLE(level)

TABLE_OF(LEVEL)
