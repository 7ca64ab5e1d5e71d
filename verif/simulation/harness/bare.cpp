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
    printf("\"counters\": [");
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
