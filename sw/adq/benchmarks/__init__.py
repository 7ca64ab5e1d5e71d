"""Speed and size beside others', as ratios inside one run."""
