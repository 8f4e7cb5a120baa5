"""What runs in a daemon, one file per loop.

``startup`` waits for a database to work in · ``claimer`` takes work · ``heartbeat`` keeps the lease and sees
peers die · ``listener`` hears notifications · ``controller`` carries stop requests to jobs · ``enforcer`` stops
those that do not obey · ``rescuer`` takes over from the dead · ``pruner`` sweeps · ``sampler`` reads the queues'
gauges · ``health`` answers over HTTP · ``drain`` ends it all. ``loop`` is what they have in common, ``worker`` is
who the daemon is.
"""
