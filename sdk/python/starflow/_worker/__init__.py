"""The worker: takes tasks from the service, executes functions, reports the results.

Three threads talk to the service, so that no function, however it blocks its thread or
the event loop, can keep a lease from being renewed or a result from being reported:

    poller      asks for as many tasks as there are free slots, and hands them over
    reporter    sends results, all that have gathered since the last sending
    heart       renews the leases, and learns which tasks to stop

Functions run where their kind wants to: async ones on the event loop that called
`Worker.run`, plain ones in a pool of threads.

    poller --> Executor --> event loop or pool --> reporter
                   \\            |                   |
                    +------> Ledger <---------------+
                               |
                             heart

The ledger knows every task from its delivery until the service has answered its result.
All that time the heart names it as held: a result that waits for a server to come back
must not be executed a second time by somebody else.

The threads use blocking gRPC. A loop of `grpc.aio` in a thread of its own did the same
with a third more CPU per poll and report, and every process has one completion queue
for all its `grpc.aio` loops, so that the loop of a `Client` next to it is woken by the
worker's traffic.
"""

from starflow._worker.worker import Worker

__all__ = ["Worker"]
