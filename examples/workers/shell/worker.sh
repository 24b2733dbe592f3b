#!/usr/bin/env bash
# A whole worker in bash, over grpcurl and jq. It takes one task at a time and sends no
# heartbeats, so that no function may take longer than the lease: 15 s.
set -uo pipefail

address=${STARFLOW_ADDRESS:-127.0.0.1:7233}
id=shell-$(< /proc/sys/kernel/random/uuid) # no other process ever had it
functions=(check.echo check.fail check.flaky check.sleep check.wait)
errors=$(mktemp)
stopping=

# Bash calls this between two commands: a task that has been begun is finished.
trap 'stopping=yes' TERM INT
trap 'rm -f "$errors"' EXIT

# again METHOD: repeats the request on standard input until it is answered. That is always
# safe, and the only way not to lose anything in an outage.
again() {
    local request answer pause
    request=$(cat)
    for pause in 0.1 0.2 0.5 1 2 2 2 2 2 2; do
        if answer=$(grpcurl -plaintext -d @ "$address" "starflow.v1.WorkerService/$1" <<< "$request" 2> "$errors"); then
            printf '%s\n' "$answer"
            return
        fi
        cat "$errors" >&2
        # A service that forgot us is told again who we are.
        if grep -q FailedPrecondition "$errors"; then register; fi
        sleep "$pause"
    done
    return 1
}

register() {
    jq -n --arg id "$id" '{worker: {worker_id: $id}, functions: [$ARGS.positional[] | {name: .}]}' \
        --args "${functions[@]}" | again RegisterFunction > /dev/null
}

# execute TASK: prints the outcome, the part of a TaskResult beside the token. Payloads stay
# text, in which numbers are exact.
execute() {
    case $(jq -r .function <<< "$1") in
        check.echo) jq '{output: {json: .input.json}}' <<< "$1" ;;
        check.fail)
            jq '.input.json | fromjson | {failure: {code, message, details: {json: .details | tojson},
                retryability: (if .retryability == "" then 0 else "RETRYABILITY_" + .retryability end)}}' <<< "$1"
            ;;
        check.flaky)
            jq 'if .attempt < (.input.json | fromjson | .succeed_at)
                then {failure: {code: "NOT_YET", retryability: "RETRYABILITY_RETRYABLE", retry_delay: "0.1s"}}
                else {output: {json: .attempt | tojson}} end' <<< "$1"
            ;;
        check.sleep)
            sleep "$(jq -r '.input.json | fromjson | .seconds' <<< "$1")"
            echo '{"output": {"json": "\"slept\""}}'
            ;;
        check.wait) echo '{"wait_for_signal": {}}' ;;
    esac
}

report() {
    jq -s --arg id "$id" '{worker_id: $id, results: [{task_token: .[0].taskToken} + .[1]]}' \
        <(printf %s "$1") <(execute "$1") | again CompleteTasks > /dev/null
}

register
while [ -z "$stopping" ]; do
    poll=$(jq -n --arg id "$id" --arg poll "$(< /proc/sys/kernel/random/uuid)" \
        '{worker_id: $id, poll_id: $poll, wait: "3s"}')
    answer=$(again Poll <<< "$poll")
    if [ "$(jq .drained <<< "$answer")" = true ]; then stopping=yes; fi
    task=$(jq -c '.tasks[0] // empty' <<< "$answer")
    if [ -n "$task" ]; then report "$task"; fi
done
exit 0
