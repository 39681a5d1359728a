#!/usr/bin/env bash
# A Slurm cluster for the tests: one controller and two virtual nodes, n1 and n2, on this host. Needs root.
# Each node has 4 CPUs and 2 GPUs that are only counted. Its files, ports and munge key are its own, so it gets in the
# way of no other Slurm.
#
#   cluster.sh install                                 packages that are missing, through apt-get
#   cluster.sh start|stop DIR
#   cluster.sh kill-node|start-node DIR NODE           kill-node: the whole node, as when its power fails
#   cluster.sh kill-controller|start-controller DIR
#   cluster.sh wait DIR                                until both nodes are idle
#   cluster.sh env DIR                                 for `eval`: makes sbatch and the others talk to this cluster
set -euo pipefail

NODES="n1 n2"

main() {
    local command=${1:?a command, see the head of this script}
    [ "$command" = install ] && { install; return; }
    DIR=$(realpath -m "${2:?a folder}")
    export SLURM_CONF=$DIR/slurm.conf
    PATH=$PATH:/usr/sbin:/sbin
    case $command in
        start) start ;;
        stop) stop ;;
        kill-node) kill_node "${3:?a node}" ;;
        start-node) start_node "${3:?a node}" ;;
        kill-controller) end KILL slurmctld ;;
        start-controller) start_controller ;;
        wait) wait_idle ;;
        env) printf 'export SLURM_CONF=%q\n' "$SLURM_CONF" ;;
        *) echo "unknown command: $command" >&2; exit 2 ;;
    esac
}

install() {
    PATH=$PATH:/usr/sbin:/sbin
    exec 9> "${TMPDIR:-/tmp}/omr-slurm-install.lock"
    flock 9  # tests run in several processes
    command -v slurmctld slurmd sbatch munged >/dev/null && return  # fails where one of them is missing
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o DPkg::Lock::Timeout=300 --no-install-recommends \
        slurmctld slurmd slurm-client munge 9>&-
}

start() {
    [ ! -e "$DIR/slurm.conf" ] || stop
    [ ${#DIR} -le 70 ] || { echo "too long for the sockets inside: $DIR" >&2; exit 2; }
    mkdir -p "$DIR"/{state,log,gpu,spool}
    rm -rf "$DIR"/state/*
    head -c 128 /dev/urandom > "$DIR/munge.key"
    chmod 400 "$DIR/munge.key"
    write_configuration
    munged --force --key-file="$DIR/munge.key" --socket="$DIR/munge.sock" --pid-file="$DIR/munged.pid" \
        --log-file="$DIR/log/munged.log" --seed-file="$DIR/munge.seed" > "$DIR/log/munged.out" 2>&1
    start_controller
    for node in $NODES; do start_node "$node"; done
    wait_idle
}

# What differs from a usual cluster serves speed, except:
# config_overrides: the nodes together may have more CPUs than the host.
# cred_expire: a job that is requeued waits this long plus a second; elsewhere that is two minutes.
# OverMemoryKill: looks every second, in place of cgroups.
# Epilog: ends what has left a job's process tree, as cgroups do elsewhere; not every container lets us have those.
write_configuration() {
    local ports node
    read -ra ports <<< "$(free_ports 3)"
    cat > "$DIR/slurm.conf" <<CONF
ClusterName=tests
SlurmctldHost=localhost
SlurmctldPort=${ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$DIR/munge.sock,cred_expire=5
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool/%n
SlurmctldPidFile=$DIR/slurmctld.pid
SlurmdPidFile=$DIR/slurmd-%n.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/slurmd-%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
Epilog=$DIR/epilog.sh
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=1000
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
GresTypes=gpu
MpiDefault=none
MailProg=/bin/true
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
JobRequeue=1
ReturnToService=2
MinJobAge=300
KillWait=5
SlurmdTimeout=20
PartitionName=main Nodes=ALL Default=YES MaxTime=1-00:00:00 State=UP
CONF
    : > "$DIR/gres.conf"
    for node in $NODES; do
        # One file for each GPU: a bare count makes the node invalid.
        mkdir -p "$DIR/spool/$node"
        touch "$DIR/gpu/$node-"{0,1}
        echo "NodeName=$node Name=gpu File=$DIR/gpu/$node-[0-1]" >> "$DIR/gres.conf"
        echo "NodeName=$node NodeHostname=localhost NodeAddr=127.0.0.1 Port=${ports[${node#n}]}" \
            "CPUs=4 RealMemory=8000 Gres=gpu:2 State=UNKNOWN" >> "$DIR/slurm.conf"
    done
    cat > "$DIR/epilog.sh" <<'EPILOG'
#!/usr/bin/env bash
job=$SLURM_JOB_ID node=$SLURMD_NODENAME
unset SLURM_JOB_ID
for file in $(grep -lszxF "SLURM_JOB_ID=$job" /proc/[0-9]*/environ); do
    pid=${file//[!0-9]/}
    [ "$pid" != $$ ] && grep -qszxF "SLURM_CONF=$SLURM_CONF" "$file" && grep -qszxF "SLURMD_NODENAME=$node" "$file" &&
        kill -KILL "$pid"
done
exit 0
EPILOG
    chmod +x "$DIR/epilog.sh"
}

# Below the range from which the kernel gives ports to clients.
free_ports() {
    local port found=()
    while [ ${#found[@]} -lt "$1" ]; do
        port=$((15000 + RANDOM % 15000))
        (: < "/dev/tcp/127.0.0.1/$port") 2>/dev/null || found+=("$port")
    done
    echo "${found[@]}"
}

start_controller() {
    slurmctld -f "$SLURM_CONF" >> "$DIR/log/slurmctld.out" 2>&1 < /dev/null
    until_true 30 controller_answers
}

controller_answers() { timeout 5 scontrol ping 2>/dev/null | grep -q ' UP'; }

start_node() { slurmd -f "$SLURM_CONF" -N "$1" >> "$DIR/log/slurmd-$1.out" 2>&1 < /dev/null; }

# First those that could report what happens to the others.
kill_node() {
    end KILL "slurmd-$1"
    kill_all "$(step_daemons "$1")"
    kill_all "$(job_processes "SLURMD_NODENAME=$1")"
}

stop() {
    local node
    end TERM slurmctld
    for node in $NODES; do kill_node "$node"; done
    end TERM munged
}

# end SIGNAL DAEMON: returns when it is gone.
end() {
    local pid
    pid=$(cat "$DIR/$2.pid" 2>/dev/null) || return 0
    if [[ "$(cat "/proc/$pid/comm" 2>/dev/null)" == "${2%%-*}"* ]]; then
        kill -"$1" "$pid" 2>/dev/null || true
        until_true 10 gone "$pid" || { kill -KILL "$pid"; until_true 10 gone "$pid"; }
    fi
    rm -f "$DIR/$2.pid"
}

gone() { ! grep -qs '^State:[[:space:]]*[^Z[:space:]]' "/proc/$1/status"; }

# Step daemons are no children of their slurmd, but they write to its log.
step_daemons() {
    local pid
    for pid in $(pgrep -x slurmstepd); do
        find "/proc/$pid/fd" -lname "$DIR/log/slurmd-$1.log" -printf "$pid\n" -quit 2>/dev/null || true
    done
}

# Processes of jobs whose environment has this line.
job_processes() {
    local file
    for file in $(grep -lszxF "$1" /proc/[0-9]*/environ); do
        grep -qszxF "SLURM_CONF=$SLURM_CONF" "$file" && echo "${file//[!0-9]/}"
    done
    return 0
}

kill_all() { [ -z "$1" ] || kill -KILL $1 2>/dev/null || true; }

wait_idle() { until_true 90 both_idle || { timeout 5 sinfo -R >&2; tail -n 5 "$DIR"/log/*.log >&2; return 1; }; }

both_idle() { [ "$(timeout 5 sinfo -h -N -o %T 2>/dev/null | grep -cx idle)" = 2 ]; }

# until_true SECONDS COMMAND...
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || { echo "gave up waiting: $*" >&2; return 1; }
        sleep 0.1
    done
}

main "$@"
