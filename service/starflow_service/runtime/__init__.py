"""Acts and never decides: owns the runs, the timers, the leases and the queues."""
