// What Verilator's FST writer wants of LZ4, without the library: blocks of literals alone, which
// every reader of LZ4 takes. Waveforms are larger than they could be.
#pragma once
#include <cstring>

static inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

static inline int LZ4_compress_default(const char* source, char* block, int size, int capacity) {
  if (capacity < LZ4_compressBound(size)) return 0;
  unsigned char* out = reinterpret_cast<unsigned char*>(block);
  // A token with the count of literals in its upper four bits; from 15 on more bytes follow.
  *out++ = static_cast<unsigned char>((size < 15 ? size : 15) << 4);
  if (size >= 15) {
    int left = size - 15;
    for (; left >= 255; left -= 255) *out++ = 255;
    *out++ = static_cast<unsigned char>(left);
  }
  std::memcpy(out, source, size);
  return static_cast<int>(out - reinterpret_cast<unsigned char*>(block)) + size;
}
