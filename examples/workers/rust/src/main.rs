// A whole worker in Rust, on nothing but the generated stubs: this file is the protocol,
// functions.rs is what it offers. README.md says how to build and run it.
mod functions;

use functions::{execute, offered, refused, Held};
use pb::{worker_service_client::WorkerServiceClient, *};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::{collections::HashMap, env, sync::Arc, sync::Mutex, time::Duration};
use tokio::{signal::unix, sync::Semaphore, sync::SemaphorePermit, time::sleep};
use tonic::{transport::Channel, transport::Endpoint, Code};

pub mod pb {
    tonic::include_proto!("starflow.v1");
}

static HANDS: Semaphore = Semaphore::const_new(8); // one for each task at a time
static STOPPING: AtomicBool = AtomicBool::new(false);

struct Worker {
    service: WorkerServiceClient<Channel>,
    id: String,
    held: Mutex<HashMap<String, Arc<Held>>>, // by token, until the report is answered
}

// Repeats a request until it is answered. That is always safe, and the only way not to
// lose anything in an outage. A service that forgot us is told again who we are.
macro_rules! again {
    ($worker:ident.$method:ident($request:ident)) => {{
        let mut pause = 50;
        loop {
            match $worker.service.clone().$method($request.clone()).await {
                Ok(answer) => break answer.into_inner(),
                Err(error) if error.code() == Code::FailedPrecondition => drop(Box::pin($worker.register()).await),
                Err(error) => eprintln!("{error}"),
            }
            sleep(Duration::from_millis(pause)).await;
            pause = (2 * pause).min(2000);
        }
    }};
}

impl Worker {
    async fn register(&self) -> RegisterFunctionResponse {
        let worker = WorkerInfo { worker_id: self.id.clone(), ..Default::default() };
        let request = RegisterFunctionRequest { worker: Some(worker), functions: offered(), ..Default::default() };
        again!(self.register_function(request))
    }

    // Renews the leases of all held tasks. The service holds each answer back for one
    // interval: by the call that breaks off it notices within seconds that we died.
    async fn beat(&self, wait: Option<prost_types::Duration>) {
        loop {
            let tasks = self.held.lock().unwrap().values().map(|held| held.beat()).collect();
            let request = HeartbeatRequest { worker_id: self.id.clone(), tasks, wait, ..Default::default() };
            match self.service.clone().heartbeat(request).await {
                // CANCEL and ABANDON alike mean to stop.
                Ok(answer) => answer.into_inner().directives.iter().for_each(|each| self.drop(&each.task_token)),
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        }
    }

    fn drop(&self, token: &str) {
        self.held.lock().unwrap().remove(token).inspect(|held| held.abandoned.cancel());
    }

    async fn work(&self, held: Arc<Held>, _hand: SemaphorePermit<'_>) {
        let token = held.task.task_token.clone();
        let mut outcome = execute(&held).await;
        // Once more if it is REJECTED: too large, or no JSON. Else it would be executed again.
        while !held.abandoned.is_cancelled() {
            let results = vec![TaskResult { task_token: token.clone(), outcome: Some(outcome) }];
            let request = CompleteTasksRequest { worker_id: self.id.clone(), results, ..Default::default() };
            let mut answer = again!(self.complete_tasks(request));
            let Some(rejection) = answer.completions.remove(0).rejection else { break };
            outcome = refused(rejection);
        }
        self.drop(&token);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let channel = Endpoint::from_shared(format!("http://{}", env::var("STARFLOW_ADDRESS")?))?.connect_lazy();
    let id = format!("rust-{}", uuid::Uuid::new_v4()); // no other process ever had it
    let service = WorkerServiceClient::new(channel);
    let worker: &'static Worker = Box::leak(Box::new(Worker { service, id, held: Default::default() }));
    tokio::spawn(worker.beat(worker.register().await.heartbeat_interval));
    let mut sigterm = unix::signal(unix::SignalKind::terminate())?;
    tokio::spawn(async move { sigterm.recv().await.map(|_| STOPPING.store(true, Relaxed)) });
    // SIGTERM ends the loop with the present poll, and the process with its last task; and so does whoever drains this
    // worker at the service.
    while !STOPPING.load(Relaxed) {
        drop(HANDS.acquire().await?); // waits while all are busy
        let (max_tasks, worker_id) = (HANDS.available_permits() as i32, worker.id.clone());
        let (poll_id, wait) = (uuid::Uuid::new_v4().to_string(), Some(prost_types::Duration { seconds: 3, nanos: 0 }));
        let request = PollRequest { worker_id, poll_id, max_tasks, wait, ..Default::default() };
        let answer = again!(worker.poll(request));
        STOPPING.fetch_or(answer.drained, Relaxed);
        for task in answer.tasks {
            let held = Arc::new(Held::new(task));
            worker.held.lock().unwrap().insert(held.task.task_token.clone(), held.clone());
            tokio::spawn(worker.work(held, HANDS.acquire().await?));
        }
    }
    drop(HANDS.acquire_many(8).await?); // waits until the last is free
    Ok(())
}
