// The harness under a main() of its own, with no cocotb, Python or VPI in the loop.
//
//     bare RESULTS PATIENCE PLAYS SEPARATE
//
// plays the files of the working directory PLAYS times, and prints what each play took as JSON. With
// SEPARATE 1, loading and computing take turns.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "Vtop.h"
#include "verilated.h"

static VerilatedContext context;
double sc_time_stamp() { return 0; }  // Asked for by old programs, while the context's is 0.

static const uint64_t NANOSECOND = 1000;  // The model counts picoseconds.
static const int COUNTERS = 8;

static double wall_seconds() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

static double cpu_seconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec + 1e-9 * now.tv_nsec;
}

static void step(Vtop& top) {
  top.eval();
  context.time(top.nextTimeSlot());
}

static void run(Vtop& top, uint64_t nanoseconds) {
  const uint64_t end = context.time() + nanoseconds * NANOSECOND;
  while (context.time() < end) step(top);
}

// The counters of switching, 64 bits each: a port of many words, or of one.
template <std::size_t N>
static void words(const VlWide<N>& port, std::vector<uint64_t>& found) {
  for (std::size_t word = 0; word + 1 < N; word += 2)
    found.push_back(port[word] | static_cast<uint64_t>(port[word + 1]) << 32);
}
static void words(uint64_t port, std::vector<uint64_t>& found) { found.push_back(port); }

int main(int argc, char** argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: %s RESULTS PATIENCE PLAYS SEPARATE\n", argv[0]);
    return 2;
  }
  const int plays = atoi(argv[3]);
  Vtop top(&context, "");
  top.expected = strtoul(argv[1], nullptr, 10);
  top.patience = strtoul(argv[2], nullptr, 10);
  top.counter_address = 0;
  top.start = 0;
  top.noise = 0;
  top.separate = atoi(argv[4]);
  top.dump = 0;
  top.reset = 1;
  run(top, 10);
  top.reset = 0;
  run(top, 10);

  uint32_t before[COUNTERS] = {};
  printf("[");
  for (int play = 0; play < plays; ++play) {
    std::vector<uint64_t> switching_before, switching;
    words(top.switching, switching_before);
    const double wall = wall_seconds();
    const double cpu = cpu_seconds();
    top.start = 1;
    run(top, 6);
    top.start = 0;
    while (!top.done) step(top);
    const double wall_taken = wall_seconds() - wall;
    const double cpu_taken = cpu_seconds() - cpu;
    printf("%s\n{\"cycles\": %llu, \"hung\": %s, \"seconds\": %.9f, \"cpu_seconds\": %.9f, ",
           play ? "," : "", static_cast<unsigned long long>(top.cycles),
           top.hung ? "true" : "false", wall_taken, cpu_taken);
    run(top, 6);  // The pipeline comes to rest.
    words(top.switching, switching);
    printf("\"switching\": [");
    for (std::size_t word = 0; word < switching.size(); ++word)
      printf("%s%llu", word ? ", " : "",
             static_cast<unsigned long long>(switching[word] - switching_before[word]));
    printf("], \"counters\": [");
    for (int counter = 0; counter < COUNTERS; ++counter) {
      top.counter_address = counter;
      run(top, 2);
      const uint32_t now = top.counter_data;
      printf("%s%u", counter ? ", " : "", now - before[counter]);
      before[counter] = now;
    }
    printf("]}");
  }
  printf("\n]\n");
  top.final();
  return 0;
}
