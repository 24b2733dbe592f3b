import com.google.protobuf.Duration;
import io.grpc.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.function.Supplier;
import starflow.v1.WorkerServiceGrpc;
import starflow.v1.WorkerServiceOuterClass.*;

/**
 * A whole worker in Java, on nothing but the generated stubs: this file is the protocol,
 * Functions.java is what it offers. README.md says how to build and run it.
 */
class Worker {
    static final int SLOTS = 8; // tasks at a time
    final String id = "java-" + UUID.randomUUID(); // no other process ever had it
    // By token, from the delivery until the report is answered.
    final Map<String, Held> held = new ConcurrentHashMap<>();
    final ManagedChannel channel =
        Grpc.newChannelBuilder(System.getenv("STARFLOW_ADDRESS"), InsecureChannelCredentials.create()).build();
    final WorkerServiceGrpc.WorkerServiceBlockingStub service = WorkerServiceGrpc.newBlockingStub(channel);
    volatile boolean stopping;

    /**
     * Repeats a request until it is answered. That is always safe, and the only way not to
     * lose anything in an outage. A service that forgot us is told again who we are.
     */
    <A> A again(Supplier<A> request) throws InterruptedException {
        for (long pause = 50;; pause = Math.min(2 * pause, 2000)) {
            try {
                return request.get();
            } catch (StatusRuntimeException error) {
                System.err.println(error);
                if (error.getStatus().getCode() == Status.Code.FAILED_PRECONDITION) register();
            }
            Thread.sleep(pause);
            channel.resetConnectBackoff(); // or gRPC would wait by itself, for up to minutes
        }
    }

    Duration register() throws InterruptedException {
        var worker = WorkerInfo.newBuilder().setWorkerId(id).setMaxConcurrency(SLOTS);
        var request = RegisterFunctionRequest.newBuilder().setWorker(worker);
        Functions.ALL.keySet().forEach(name -> request.addFunctionsBuilder().setName(name));
        return again(() -> service.registerFunction(request.build())).getHeartbeatInterval();
    }

    /**
     * Renews the leases of all held tasks. The service holds each answer back for one
     * interval: by the call that breaks off it notices within seconds that we died.
     */
    void beat(Duration interval) throws InterruptedException {
        while (true) {
            var request = HeartbeatRequest.newBuilder().setWorkerId(id).setWait(interval);
            held.values().forEach(each -> request.addTasks(each.beat()));
            // CANCEL and ABANDON alike mean to stop.
            var answer = again(() -> service.heartbeat(request.build()));
            answer.getDirectivesList().forEach(each -> drop(each.getTaskToken()));
        }
    }

    void drop(String token) {
        Optional.ofNullable(held.remove(token)).ifPresent(mine -> mine.abandoned().countDown());
    }

    void report(TaskResult.Builder result) throws InterruptedException {
        var request = CompleteTasksRequest.newBuilder().setWorkerId(id).addResults(result).build();
        var answer = again(() -> service.completeTasks(request)).getCompletions(0);
        // REJECTED: too large, or no JSON. Without a report it would be executed again.
        if (answer.hasRejection()) report(Functions.refused(answer.getRejection()).setTaskToken(result.getTaskToken()));
    }

    void work(Held mine, Semaphore hands) throws InterruptedException {
        var result = Functions.execute(mine).setTaskToken(mine.token());
        if (mine.abandoned().getCount() > 0) report(result);
        drop(mine.token());
        hands.release();
    }

    /**
     * SIGTERM ends the loop with the present poll, and the process with its last task; and so
     * does whoever drains this worker at the service.
     */
    void run() throws InterruptedException {
        Functions.onSigterm(() -> stopping = true);
        var interval = register();
        Functions.inBackground(() -> beat(interval));
        var hands = new Semaphore(SLOTS);
        while (!stopping) {
            hands.acquire(); // waits while all are busy
            var poll = PollRequest.newBuilder().setWorkerId(id).setPollId(UUID.randomUUID().toString())
                .setMaxTasks(hands.availablePermits() + 1).setWait(Duration.newBuilder().setSeconds(3)).build();
            var answer = again(() -> service.poll(poll));
            if (answer.getDrained()) stopping = true;
            hands.release();
            for (var task : answer.getTasksList()) {
                var mine = new Held(task);
                held.put(mine.token(), mine);
                hands.acquire();
                Functions.inBackground(() -> work(mine, hands));
            }
        }
        hands.acquire(SLOTS); // waits until the last is free
    }

    public static void main(String[] arguments) throws InterruptedException {
        new Worker().run();
        Runtime.getRuntime().halt(0); // a JVM that ends by SIGTERM has the exit code 143
    }
}
