"""What a host sees of the platform: registers, a bus master, and what runs programs."""
