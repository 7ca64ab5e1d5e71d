// A host for the platform under a main() of its own, with no Python in the loop: a memory on the
// AXI4 bus, and a script of what the host does.
//
//     host LATENCY SCRIPT
//
// LATENCY is the cycles from a read's address to its first beat, and from a write's last beat to its
// answer; a beat comes every cycle. The script has one action a line, numbers in hexadecimal:
//
//     memory BASE SIZE FILE   a memory of SIZE bytes at BASE, which begins with the file's bytes
//     write ADDRESS VALUE     write a register
//     read ADDRESS            print a register
//     wait CYCLES             until the interrupt line is high; exit status 3 if it stays low
//     save BASE FILE          write a memory to a file
//
// Accesses outside of all memories are answered with DECERR.
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <istream>
#include <string>
#include <vector>

#include "Vtop.h"
#include "verilated.h"

static VerilatedContext context;
double sc_time_stamp() { return 0; }  // Asked for by old programs, while the context's is 0.

static const int OKAY = 0, DECERR = 3;

#ifndef BEAT_BYTES
#error "BEAT_BYTES is the width of the bus"
#endif

// Bytes of a port of any width.
template <std::size_t N>
static void put(VlWide<N>& port, const uint8_t* bytes) {
  for (std::size_t word = 0; word < N; ++word) {
    port[word] = 0;
    for (int byte = 0; byte < 4; ++byte) port[word] |= uint32_t(bytes[4 * word + byte]) << 8 * byte;
  }
}
template <typename T>
static void put(T& port, const uint8_t* bytes) {
  port = 0;
  for (std::size_t byte = 0; byte < sizeof(T); ++byte) port |= T(bytes[byte]) << 8 * byte;
}
template <std::size_t N>
static uint8_t byte_of(const VlWide<N>& port, int byte) {
  return port[byte / 4] >> 8 * (byte % 4);
}
static uint8_t byte_of(uint64_t port, int byte) { return port >> 8 * byte; }

struct Memory {
  uint64_t base;
  std::vector<uint8_t> bytes;
};

struct Host {
  Vtop& top;
  int latency;
  static constexpr int width = BEAT_BYTES;
  uint64_t now = 0;
  std::vector<Memory> memories;

  struct Read {
    uint64_t address, due;
    int beats, id;
  };
  struct Write {
    uint64_t address;
    int id;
  };
  struct Answer {
    uint64_t due;
    int id, response;
  };
  std::deque<Read> reads;
  std::deque<Write> writes;
  std::deque<Answer> answers;
  int response = OKAY;  // of the write that is under way

  Host(Vtop& top, int latency) : top(top), latency(latency) {}

  uint8_t* at(uint64_t address) {
    for (Memory& memory : memories)
      if (address >= memory.base && address + width <= memory.base + memory.bytes.size())
        return &memory.bytes[address - memory.base];
    return nullptr;
  }

  // The bus in this cycle: what stands on its ports follows the clock's edge.
  void answer() {
    const bool reads_now = !reads.empty() && reads.front().due <= now;
    top.m_axi_rvalid = reads_now;
    if (reads_now) {
      const Read& read = reads.front();
      static const std::vector<uint8_t> nothing(256, 0);
      const uint8_t* found = at(read.address);
      put(top.m_axi_rdata, found ? found : nothing.data());
      top.m_axi_rresp = found ? OKAY : DECERR;
      top.m_axi_rlast = read.beats == 1;
      top.m_axi_rid = read.id;
    }
    const bool answers_now = !answers.empty() && answers.front().due <= now;
    top.m_axi_bvalid = answers_now;
    if (answers_now) {
      top.m_axi_bid = answers.front().id;
      top.m_axi_bresp = answers.front().response;
    }
    top.m_axi_arready = 1;
    top.m_axi_awready = 1;
    top.m_axi_wready = !writes.empty();
  }

  // What the clock's edge takes.
  void take() {
    if (top.m_axi_rvalid && top.m_axi_rready) {
      reads.front().address += width;
      if (--reads.front().beats == 0) reads.pop_front();
    }
    if (top.m_axi_bvalid && top.m_axi_bready) answers.pop_front();
    if (top.m_axi_wvalid && top.m_axi_wready) {
      Write& write = writes.front();
      uint8_t* found = at(write.address);
      if (!found) response = DECERR;
      for (int byte = 0; found && byte < width; ++byte)
        if (byte_of(top.m_axi_wstrb, byte / 8) >> byte % 8 & 1)
          found[byte] = byte_of(top.m_axi_wdata, byte);
      write.address += width;
      if (top.m_axi_wlast) {
        answers.push_back({now + latency, write.id, response});
        writes.pop_front();
        response = OKAY;
      }
    }
    if (top.m_axi_arvalid && top.m_axi_arready) {
      const uint64_t first = top.m_axi_araddr / width * width;
      reads.push_back({first, now + latency, top.m_axi_arlen + 1, int(top.m_axi_arid)});
    }
    if (top.m_axi_awvalid && top.m_axi_awready)
      writes.push_back({top.m_axi_awaddr / width * width, int(top.m_axi_awid)});
  }

  void cycle() {
    answer();
    top.clk = 0;
    top.eval();
    take();
    top.clk = 1;
    top.eval();
    ++now;
  }

  void write(uint32_t address, uint32_t value) {
    top.s_axi_awaddr = address;
    top.s_axi_wdata = value;
    top.s_axi_wstrb = 15;
    top.s_axi_bready = 1;
    bool address_taken = false, value_taken = false, answered = false;
    while (!answered) {
      top.s_axi_awvalid = !address_taken;
      top.s_axi_wvalid = !value_taken;
      top.clk = 0;
      top.eval();
      const bool a = top.s_axi_awvalid && top.s_axi_awready;
      const bool w = top.s_axi_wvalid && top.s_axi_wready;
      answered = top.s_axi_bvalid;
      cycle();
      address_taken |= a;
      value_taken |= w;
    }
    top.s_axi_awvalid = top.s_axi_wvalid = top.s_axi_bready = 0;
  }

  uint32_t read(uint32_t address) {
    top.s_axi_araddr = address;
    top.s_axi_rready = 1;
    bool taken = false;
    for (;;) {
      top.s_axi_arvalid = !taken;
      top.clk = 0;
      top.eval();
      const bool a = top.s_axi_arvalid && top.s_axi_arready;
      const bool given = top.s_axi_rvalid;
      const uint32_t value = top.s_axi_rdata;
      cycle();
      taken |= a;
      if (given) {
        top.s_axi_arvalid = top.s_axi_rready = 0;
        return value;
      }
    }
  }
};

static bool act(Host& host, std::istream& script) {
  std::string action, file;
  uint64_t first, second;
  script >> std::hex >> action;
  if (action == "memory" && script >> first >> second >> file) {
    Memory memory{first, std::vector<uint8_t>(second)};
    std::ifstream given(file, std::ios::binary);
    given.read(reinterpret_cast<char*>(memory.bytes.data()), second);
    if (given.bad() || !given.is_open()) {
      fprintf(stderr, "%s cannot be read\n", file.c_str());
      exit(2);
    }
    host.memories.push_back(std::move(memory));
  } else if (action == "write" && script >> first >> second) {
    host.write(first, second);
  } else if (action == "read" && script >> first) {
    printf("%" PRIu32 "\n", host.read(first));
  } else if (action == "wait" && script >> first) {
    for (const uint64_t end = host.now + first; !host.top.irq; host.cycle())
      if (host.now == end) {
        fprintf(stderr, "no interrupt in %" PRIu64 " cycles\n", first);
        exit(3);
      }
  } else if (action == "save" && script >> first >> file) {
    for (const Memory& memory : host.memories)
      if (memory.base == first) {
        std::ofstream given(file, std::ios::binary);
        given.write(reinterpret_cast<const char*>(memory.bytes.data()), memory.bytes.size());
        if (!given.good()) {
          fprintf(stderr, "%s cannot be written\n", file.c_str());
          exit(2);
        }
      }
  } else if (!action.empty()) {
    fprintf(stderr, "no such action: %s\n", action.c_str());
    exit(2);
  }
  return !action.empty();
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s LATENCY SCRIPT\n", argv[0]);
    return 2;
  }
  Vtop top(&context, "");
  Host host(top, atoi(argv[1]));
  top.rst = 1;
  for (int cycle = 0; cycle < 4; ++cycle) host.cycle();
  top.rst = 0;
  std::ifstream script(argv[2]);
  while (script && act(host, script)) {
  }
  top.final();
  return 0;
}
