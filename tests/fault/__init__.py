"""Faults on purpose, against real daemons and a real server; each test's name is the promise that it holds.

The ten invariants of the architecture, and where each is tried end to end (most have unit, SQL and property tests
as well). Each file named here has been seen to fail when the invariant beside it was broken on purpose.

====================================== =====================================================================
invariant                              tests
====================================== =====================================================================
1 one transaction per batch            test_atomic_batches: a reader never sees rows without their counters
                                       test_kill_points: killed before, inside, right after COMMIT …
                                       test_cut_connections: before a COMMIT, before its answer, anywhere
                                       test_backends: ended, frozen and crowded out, in each phase
                                       test_conflicts: deadlocks and others, by each way and login
2 fenced                               test_frozen: the waker writes nothing, and its locks hold up nobody
                                       test_network: a lost host writes nothing later
                                       test_fence: a lease that was taken commits, begins and finishes nothing
3 requests are flags                   test_stop_latency: without notifications, by flag column
                                       test_stop_without_worker: with the daemon dead, in an open transaction
4 liveness, never age                  test_liveness: longer than many leases
                                       test_server_restart: nobody takes anything away, works within 2 s
                                       test_lock_pile_up: nor while jobd's own tables are locked
                                       test_network: a lost host's job goes on elsewhere
                                       test_takeover: a killed daemon's import goes on within 3 s
5 an interruption is not a failure     test_random_kills (max_retries is 0), test_liveness: SIGTERM hands back
                                       test_deadly_file: stopped after five, naming the row
                                       test_read_only: a database without writes is waited for
6 the cursor only advances             test_changed_source, test_changed_target
                                       test_fence: a batch that was committed already is refused
                                       test_failover, test_lost_commits: only the database can go back
7 the result does not depend on …      test_random_kills, test_kill_points: equal to an undisturbed import
                                       integration/daemon/test_bundles: nor on what is imported together
8 database time only                   test_liveness: daemons with wrong clocks
9 everything is bounded                test_bounds: memory, and what is read ahead of a held-up batch
10 no leader                           test_races: each job runs once; three rescuers take each job once
====================================== =====================================================================
"""
