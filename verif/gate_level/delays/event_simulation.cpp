// Event-driven simulation of a netlist's combinational cells, one clock cycle after the other.
//
// Called from verif/gate_level/delays/event_simulation.py, which describes the arrays. Times are integers
// in fs from the clock's edge. Delays are inertial: a cell's output that has been scheduled to
// change and then returns before it did has never changed. Of several changes the delay is that of
// the input which changed last.
#include <cstdint>
#include <queue>
#include <vector>

namespace {

struct Event {
  int64_t time;
  int64_t order;   // of scheduling: events at one time happen in this order
  int64_t place;   // an output, or, from `outputs` on, a source
  int64_t stamp;   // an output's event counts only with the output's last stamp
  bool operator>(const Event &other) const {
    return time != other.time ? time > other.time : order > other.order;
  }
};

}  // namespace

extern "C" {

struct Design {
  int64_t nets, cells, outputs, sources, row_bytes;
  // Of a cell: number of its input pins, its first output, and the place of its pin energies, of
  // which each pin has one for each state; with a clock, twice as many: low and high.
  const int64_t *cell_inputs, *cell_first_output, *cell_pin_energies;
  const int64_t *cell_clock;        // number of its clock, or -1
  const int64_t *cell_stored;       // net whose value is the highest bit of its state, or -1
  const uint8_t *cell_stored_inverted;
  const int64_t *cell_constants;    // bits of its state that are always 1
  // Of an output: its cell, net, truth table, the place of its delays (pin, falling or rising),
  // and that of its energies (pin, state).
  const int64_t *output_cell, *output_net, *output_delays, *output_energies;
  const uint64_t *output_function;
  const int64_t *delays;
  const double *output_energy, *pin_energy;
  // Of a net: the pins that it is on, as numbers `cell << 4 | pin`.
  const int64_t *fanout_start, *fanout;
  const uint8_t *net_compared;      // whether its value is held against the recording
  // Of a source, a net that no combinational cell drives: its net and delays, falling and rising.
  const int64_t *source_net, *source_delays;
  int64_t half_period;
};

struct Outcome {
  int64_t *toggles;       // of each net
  double *energy;         // of each cell, fJ
  int64_t last;           // fs: when the last event of any cycle happened
  int64_t wrong_net, wrong_cycle;
};

// Edges `first` to `last - 1`; edge n leads from row n of the recording to the next. `ticks` has a
// byte for each clock and edge from `first` on. Returns 0, or 1 where a net ends a cycle with
// another value than the recording's.
int simulate(const Design *d, const uint8_t *recording, int64_t first, int64_t last,
             const uint8_t *ticks, Outcome *out) {
  const int64_t edges = last - first;
  auto recorded = [&](int64_t row, int64_t net) -> int {
    return recording[row * d->row_bytes + net / 8] >> (net % 8) & 1;
  };
  std::vector<uint8_t> value(d->nets), coming(d->outputs), waiting(d->outputs, 0);
  std::vector<int64_t> stamp(d->outputs, 0), due(d->outputs, 0), certain(d->outputs, -1);
  std::vector<double> energy(d->outputs, 0.0);
  std::vector<uint32_t> state(d->cell_constants, d->cell_constants + d->cells);
  for (int64_t net = 0; net < d->nets; net++) value[net] = recorded(first, net);
  for (int64_t net = 0; net < d->nets; net++)
    for (int64_t i = d->fanout_start[net]; value[net] && i < d->fanout_start[net + 1]; i++)
      state[d->fanout[i] >> 4] |= 1u << (d->fanout[i] & 15);
  for (int64_t o = 0; o < d->outputs; o++) coming[o] = value[d->output_net[o]];

  std::priority_queue<Event, std::vector<Event>, std::greater<Event>> queue;
  int64_t order = 0;
  for (int64_t row = first; row < last; row++) {
    const uint8_t *ticking = ticks + (row - first);
    for (int64_t s = 0; s < d->sources; s++) {
      const int after = recorded(row + 1, d->source_net[s]);
      if (after != value[d->source_net[s]])
        queue.push({d->source_delays[2 * s + after], order++, d->outputs + s, 0});
    }
    for (int64_t c = 0; c < d->cells; c++)
      if (d->cell_stored[c] >= 0) {
        const uint32_t bit = 1u << d->cell_inputs[c];
        const int stored = recorded(row + 1, d->cell_stored[c]) ^ d->cell_stored_inverted[c];
        state[c] = stored ? state[c] | bit : state[c] & ~bit;
      }
    while (!queue.empty()) {
      const Event event = queue.top();
      queue.pop();
      int64_t net;
      if (event.place < d->outputs) {
        const int64_t o = event.place;
        net = d->output_net[o];
        if (certain[o] == event.stamp) {
          certain[o] = -1;
        } else if (waiting[o] && stamp[o] == event.stamp) {
          waiting[o] = 0;
          out->energy[d->output_cell[o]] += energy[o];
        } else {
          continue;
        }
      } else {
        net = d->source_net[event.place - d->outputs];
      }
      value[net] ^= 1;
      out->toggles[net]++;
      if (event.time > out->last) out->last = event.time;
      for (int64_t i = d->fanout_start[net]; i < d->fanout_start[net + 1]; i++) {
        const int64_t c = d->fanout[i] >> 4, pin = d->fanout[i] & 15;
        state[c] ^= 1u << pin;
        const int64_t stored = d->cell_stored[c] >= 0;
        int64_t size = int64_t(1) << (d->cell_inputs[c] + stored), at = state[c];
        if (d->cell_clock[c] >= 0) {
          const bool high = event.time < d->half_period && ticking[d->cell_clock[c] * edges];
          at += high ? size : 0;
          size *= 2;
        }
        out->energy[c] += d->pin_energy[d->cell_pin_energies[c] + pin * size + at];
        for (int64_t o = d->cell_first_output[c]; o < d->cell_first_output[c + 1]; o++) {
          const uint8_t next = d->output_function[o] >> state[c] & 1;
          if (next == coming[o]) continue;
          coming[o] = next;
          if (waiting[o] && due[o] > event.time) {  // it goes back before it changed
            waiting[o] = 0;
            continue;
          }
          if (waiting[o]) {  // a pulse as wide as the delay passes, whichever event comes first
            certain[o] = stamp[o];
            out->energy[c] += energy[o];
          }
          waiting[o] = 1;
          energy[o] = d->output_energy[d->output_energies[o] + pin * size + at];
          const int64_t delay = d->delays[d->output_delays[o] + 2 * pin + next];
          due[o] = event.time + delay;
          queue.push({due[o], order++, o, ++stamp[o]});
        }
      }
    }
    for (int64_t net = 0; net < d->nets; net++)
      if (d->net_compared[net] && value[net] != recorded(row + 1, net)) {
        out->wrong_net = net;
        out->wrong_cycle = row + 1;
        return 1;
      }
  }
  return 0;
}
}
