use crate::pb::{payload::Kind, task_result::Outcome, *};
use serde_json::Value;
use std::{sync::Mutex, time::Duration};
use tokio_util::sync::CancellationToken;

// One attempt that we hold, and what the next one is to know, if there is one.
pub struct Held {
    pub task: Task,
    pub abandoned: CancellationToken,
    progress: Mutex<Option<Payload>>,
}

impl Held {
    pub fn new(task: Task) -> Self {
        Held { task, abandoned: CancellationToken::new(), progress: Mutex::new(None) }
    }

    pub fn beat(&self) -> TaskHeartbeat {
        let progress = self.progress.lock().unwrap().clone();
        TaskHeartbeat { task_token: self.task.task_token.clone(), progress }
    }

    async fn sleep(&self, seconds: f64) {
        let time = Duration::from_secs_f64(seconds);
        let _ = tokio::time::timeout(time, self.abandoned.cancelled()).await;
    }
}

// The functions of `starflow worker-check`; docs/worker-check.md says what they do.
const NAMES: [&str; 7] =
    ["check.echo", "check.fail", "check.flaky", "check.sleep", "check.wait", "check.large", "check.progress"];

pub fn offered() -> Vec<FunctionSpec> {
    NAMES.iter().map(|name| FunctionSpec { name: name.to_string(), ..Default::default() }).collect()
}

pub async fn execute(held: &Held) -> Outcome {
    let task = &held.task;
    let text = json(&task.input);
    // With the feature arbitrary_precision all numbers keep their digits.
    let input: Value = serde_json::from_str(&text).unwrap_or_default();
    match task.function.as_str() {
        "check.echo" => output(text),
        "check.fail" => fail(&input),
        "check.flaky" if i64::from(task.attempt) < input["succeed_at"].as_i64().unwrap_or(0) => not_yet(),
        "check.flaky" => output(task.attempt.to_string()),
        "check.sleep" => {
            held.sleep(input["seconds"].as_f64().unwrap_or(0.0)).await;
            output("\"slept\"".into())
        }
        "check.wait" => Outcome::WaitForSignal(Yield::default()),
        "check.large" => output(format!("\"{}\"", "x".repeat(input["bytes"].as_u64().unwrap_or(0) as usize))),
        "check.progress" if task.attempt > 1 => output(json(&task.last_progress)),
        "check.progress" => {
            *held.progress.lock().unwrap() = Some(payload("{\"step\": 1}".into())); // with the next heartbeat
            held.sleep(1.0).await;
            not_yet()
        }
        _ => Outcome::Failure(Failure { code: "NOT_OFFERED".into(), ..Default::default() }),
    }
}

fn fail(input: &Value) -> Outcome {
    let text = |name: &str| input[name].as_str().unwrap_or("").to_string();
    let retryability = format!("RETRYABILITY_{}", text("retryability"));
    Outcome::Failure(Failure {
        code: text("code"),
        message: text("message"),
        retryability: Retryability::from_str_name(&retryability).unwrap_or_default().into(),
        details: Some(payload(input["details"].to_string())),
        ..Default::default()
    })
}

pub fn refused(rejection: Rejection) -> Outcome {
    Outcome::Failure(Failure {
        code: rejection.reason,
        message: rejection.message,
        retryability: Retryability::Permanent.into(),
        ..Default::default()
    })
}

fn not_yet() -> Outcome {
    Outcome::Failure(Failure {
        code: "NOT_YET".into(),
        retryability: Retryability::Retryable.into(),
        retry_delay: Some(prost_types::Duration { seconds: 0, nanos: 100_000_000 }),
        ..Default::default()
    })
}

fn output(json: String) -> Outcome {
    Outcome::Output(payload(json))
}

fn payload(json: String) -> Payload {
    Payload { kind: Some(Kind::Json(json)) }
}

fn json(payload: &Option<Payload>) -> String {
    match payload {
        Some(Payload { kind: Some(Kind::Json(text)) }) => text.clone(),
        _ => "null".into(),
    }
}
