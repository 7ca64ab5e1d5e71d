// Zero-delay simulation of a netlist of cells, whose inputs follow a recording.
#include <cstdint>
#include <cstring>
#include <vector>

struct Netlist {
    int64_t nets, gates, flops, clocks, inputs;
    // Gates in the order in which they are evaluated: up to six inputs each, -1 for a constant 0
    // and -2 for a 1.
    const int64_t *gate_inputs;  // (gates, 6)
    const int64_t *gate_net;
    const uint64_t *gate_function;
    // Flip-flops: data, outputs (-1 where there is none), clock.
    const int64_t *flop_data, *flop_output, *flop_inverted, *flop_clock;
    // Clocks, each behind its parent; two enables each, of which one is enough.
    const int64_t *clock_parent, *clock_enables;  // (clocks, 2)
    const int64_t *input_net;
};

// Writes the value of every net just before each edge into `record`, a bit a net.
extern "C" void replay(const Netlist *n, const uint8_t *given, int64_t cycles, uint8_t *record,
                       int64_t row_bytes) {
    std::vector<uint8_t> value(n->nets + 2, 0), state(n->flops, 0), ticks(n->clocks, 0);
    uint8_t *net = value.data() + 2;  // net[-1] and net[-2] are the constants
    net[-2] = 1;
    for (int64_t cycle = 0; cycle < cycles; cycle++) {
        for (int64_t i = 0; i < n->inputs; i++) net[n->input_net[i]] = given[cycle * n->inputs + i];
        for (int64_t i = 0; i < n->flops; i++) {
            if (n->flop_output[i] >= 0) net[n->flop_output[i]] = state[i];
            if (n->flop_inverted[i] >= 0) net[n->flop_inverted[i]] = !state[i];
        }
        const int64_t *from = n->gate_inputs;
        for (int64_t i = 0; i < n->gates; i++, from += 6) {
            unsigned place = 0;
            for (int pin = 0; pin < 6; pin++) place |= net[from[pin]] << pin;
            net[n->gate_net[i]] = n->gate_function[i] >> place & 1;
        }
        uint8_t *row = record + cycle * row_bytes;
        for (int64_t i = 0; i < n->nets; i++) row[i >> 3] |= net[i] << (i & 7);
        ticks[0] = 1;
        for (int64_t i = 1; i < n->clocks; i++) {
            const int64_t *enables = n->clock_enables + 2 * i;
            ticks[i] = ticks[n->clock_parent[i]] & (net[enables[0]] | net[enables[1]]);
        }
        for (int64_t i = 0; i < n->flops; i++)
            if (ticks[n->flop_clock[i]]) state[i] = net[n->flop_data[i]];
    }
}
