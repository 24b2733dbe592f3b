import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import starflow.v1.FailureOuterClass.Failure;
import starflow.v1.FailureOuterClass.Retryability;
import starflow.v1.PayloadOuterClass.Payload;
import starflow.v1.WorkerServiceOuterClass.Rejection;
import starflow.v1.WorkerServiceOuterClass.Task;
import starflow.v1.WorkerServiceOuterClass.TaskHeartbeat;
import starflow.v1.WorkerServiceOuterClass.TaskResult;
import starflow.v1.WorkerServiceOuterClass.Yield;

/** One attempt that we hold, and what the next one is to know, if there is one. */
record Held(Task task, CountDownLatch abandoned, AtomicReference<Payload> progress) {
    Held(Task task) {
        this(task, new CountDownLatch(1), new AtomicReference<>());
    }

    String token() {
        return task.getTaskToken();
    }

    TaskHeartbeat beat() {
        var beat = TaskHeartbeat.newBuilder().setTaskToken(token());
        if (progress.get() != null) beat.setProgress(progress.get());
        return beat.build();
    }
}

/** The functions of `starflow worker-check`; docs/worker-check.md says what they do. */
class Functions {
    interface Function {
        TaskResult.Builder call(Held held, JsonElement input) throws InterruptedException;
    }

    static final Map<String, Function> ALL = Map.of(
        // The text goes back as it came, so that every number stays what it is.
        "check.echo", (held, input) -> output(held.task().getInput().getJson()),
        "check.fail", (held, input) -> fail(input.getAsJsonObject()),
        "check.flaky", (held, input) -> {
            var attempt = held.task().getAttempt();
            var enough = input.getAsJsonObject().get("succeed_at").getAsInt();
            return attempt < enough ? notYet() : output(String.valueOf(attempt));
        },
        "check.sleep", (held, input) -> {
            var seconds = input.getAsJsonObject().get("seconds").getAsDouble();
            held.abandoned().await((long) (1000 * seconds), TimeUnit.MILLISECONDS);
            return output("\"slept\"");
        },
        "check.wait", (held, input) -> TaskResult.newBuilder().setWaitForSignal(Yield.getDefaultInstance()),
        "check.large", (held, input) -> {
            var size = input.getAsJsonObject().get("bytes").getAsInt();
            return output('"' + "x".repeat(size) + '"');
        },
        "check.progress", (held, input) -> {
            if (held.task().getAttempt() > 1) return output(held.task().getLastProgress().getJson());
            held.progress().set(payload("{\"step\": 1}")); // travels with the next heartbeat
            held.abandoned().await(1, TimeUnit.SECONDS);
            return notYet();
        });

    static TaskResult.Builder execute(Held held) throws InterruptedException {
        try {
            var input = JsonParser.parseString(held.task().getInput().getJson());
            return ALL.get(held.task().getFunction()).call(held, input);
        } catch (RuntimeException error) {
            var failure = Failure.newBuilder().setCode("DEFECT").setMessage(error.toString());
            return TaskResult.newBuilder().setFailure(failure);
        }
    }

    static TaskResult.Builder fail(JsonObject input) {
        var failure = Failure.newBuilder()
            .setCode(input.get("code").getAsString())
            .setMessage(input.get("message").getAsString());
        var retryability = input.get("retryability").getAsString();
        if (!retryability.isEmpty()) failure.setRetryability(Retryability.valueOf("RETRYABILITY_" + retryability));
        var details = input.get("details");
        if (details != JsonNull.INSTANCE) failure.setDetails(payload(details.toString()));
        return TaskResult.newBuilder().setFailure(failure);
    }

    static TaskResult.Builder refused(Rejection no) {
        return TaskResult.newBuilder().setFailure(Failure.newBuilder()
            .setCode(no.getReason())
            .setMessage(no.getMessage())
            .setRetryability(Retryability.RETRYABILITY_PERMANENT));
    }

    static TaskResult.Builder notYet() {
        return TaskResult.newBuilder().setFailure(Failure.newBuilder()
            .setCode("NOT_YET")
            .setRetryability(Retryability.RETRYABILITY_RETRYABLE)
            .setRetryDelay(com.google.protobuf.Duration.newBuilder().setNanos(100_000_000)));
    }

    static TaskResult.Builder output(String json) {
        return TaskResult.newBuilder().setOutput(payload(json));
    }

    static Payload payload(String json) {
        return Payload.newBuilder().setJson(json).build();
    }

    interface Work {
        void run() throws InterruptedException;
    }

    /** The JVM begins to end as soon as the hook has returned, so it never does. */
    static void onSigterm(Runnable stop) {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stop.run();
            while (true) LockSupport.park();
        }));
    }

    static void inBackground(Work work) {
        var thread = new Thread(() -> {
            try {
                work.run();
            } catch (InterruptedException error) {
                throw new IllegalStateException(error);
            }
        });
        thread.setDaemon(true);
        thread.start();
    }
}
