"""The thinking: pure functions over frames, no I/O, no clock."""
