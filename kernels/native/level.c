/* Compiled once for each instruction set; LEVEL names the result. */
#include "forward.h"

#define NAME_OF(level) #level
#define TABLE(level) const co_kernels co_##level = {NAME_OF(level), forward};
#define TABLE_OF(level) TABLE(level)

TABLE_OF(LEVEL)
