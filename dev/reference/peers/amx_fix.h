// For building llama.cpp with GCC 12 on a processor with AMX: -DCMAKE_CXX_FLAGS="-include /full/path/amx_fix.h".
// That compiler's _tile_loadconfig says that it reads 8 bytes of the 64, so the stores to the rest are dropped and the
// first tile instruction traps ("illegal instruction") or reads a random shape. This one says that it reads all 64.
#pragma once
#include <immintrin.h>
#define _tile_loadconfig(config) __asm__ volatile("ldtilecfg %0" ::"m"(*(const char(*)[64])(config)))
