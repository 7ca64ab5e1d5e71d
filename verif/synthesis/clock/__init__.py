"""Clock gates, stages of them, phases of the clock, and latches behind them."""
