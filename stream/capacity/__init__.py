"""How many sessions a machine holds: what work costs, and the server's own order of it.

    measuring ──▶ costs ──▶ simulation ──▶ outcome      how late text would come
        │                       │
     a real server       the real book and runner, a priced engine, no clock

A command (`salmonn-capacity`), and no part of the server: nothing of it is imported
there.  Beside the seam it uses the engine's benchmarks (docs/adr/0043).
"""
