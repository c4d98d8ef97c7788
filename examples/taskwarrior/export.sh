#!/bin/bash
# Reads the gateway's log (JSON, one object a line) from files or stdin and prints a JSON array for `task import`: one
# completed task a routed request. A request's id is its task's uuid, so importing it again changes nothing.
#
#   ./export.sh [LOG ...] | task import -
set -euo pipefail

case ${1-} in
  -h | --help)
    sed -n '2,5s/^# \{0,1\}//p' "$0"
    exit
    ;;
esac
command -v jq >/dev/null || { echo 'export.sh: jq is missing: apt-get install jq' >&2; exit 1; }
for log; do
  [ -r "$log" ] || { echo "export.sh: cannot read $log" >&2; exit 1; }
done

# A line becomes a task, or the word for why it is none. Routed is a request for which a model was chosen: not what was
# turned away before, and not embeddings, whose model the client names. The log's `detail` stays out: it may quote a backend.
jq -R -r '
  # `task +TAG` understands letters, digits and "_", and no digit in front.
  def tag: gsub("[^A-Za-z0-9]"; "_") | sub("^(?<digit>[0-9])"; "_\(.digit)");
  # Tasks keep whole seconds; the log has microseconds.
  def seconds_since_1970:
    capture("^(?<whole>.{19})(?<part>[.][0-9]+)?Z$")
    | (.whole + "Z" | fromdateiso8601) + ("0\(.part // "")" | tonumber);
  def stamp: floor | strftime("%Y%m%dT%H%M%SZ");
  def uuid: select(test("^[0-9a-f]{32}$")) | "\(.[:8])-\(.[8:12])-\(.[12:16])-\(.[16:20])-\(.[20:])";

  def task:
    (.timestamp | seconds_since_1970) as $ended
    | {
        uuid: (.request_id | uuid),
        status: "completed",
        description: "\(.tier) request to \(.model): \([.ending, .reason | values] | join(", "))",
        project: "wasmgate",
        tags: ([.model, .location, .tier, (select(.status == "error") | "failed")] | map(tag) | unique),
        entry: ($ended - .seconds | stamp),
        "end": ($ended | stamp),
        # Named like the labels of the metrics: there, backend is where a model runs.
        model, chosen, backend: .location, upstream: .backend, complexity: .tier, policy, mode, ending, reason,
        input_tokens, output_tokens, cost_usd, seconds: (.seconds * 1e6 | round / 1e6)
      }
    # Numbers as text, or they would be cut to six decimals: a cost can be smaller than a millionth of a dollar.
    | with_entries(select(.value != null) | if .value | type == "number" then .value |= tostring else . end);

  # The first of nothing is null: where a line is no JSON, and where a task cannot be made of it.
  [fromjson?][0]
  | if . == null then "broken"
    elif type != "object" or .message != "request" then "foreign"
    elif .chosen == null then "unrouted"
    else [(task | tojson)?][0] // "broken"
    end
' "$@" | awk '
  /^\{/ { printf "%s%s", tasks++ ? ",\n" : "[\n", $0; next }
  { skipped[$0]++ }
  END {
    print tasks ? "\n]" : "[]"
    printf "export.sh: %d tasks; skipped: %d requests that were not routed, %d other lines of the log, %d broken lines\n",
      tasks, skipped["unrouted"], skipped["foreign"], skipped["broken"] > "/dev/stderr"
  }'
