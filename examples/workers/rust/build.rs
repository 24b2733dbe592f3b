// Generates the stubs into OUT_DIR, with the protoc that PROTOC names.
fn main() -> std::io::Result<()> {
    let protos = std::env::var("STARFLOW_PROTOS").unwrap_or("../../../protos".into());
    let service = format!("{protos}/starflow/v1/worker_service.proto");
    tonic_build::configure()
        .build_server(false)
        .compile_protos(&[service], &[protos])
}
