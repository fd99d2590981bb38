"""The Kubernetes example: valid by the API's own schemas, and closed."""

from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from serving.cli import serve
from serving.cli.ask import probe_parser
from serving.server.config import ServerConfig

ROOT = Path(__file__).parents[2]
PARTS = list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text()))
BY_KIND = {part["kind"]: part for part in PARTS}
POD = BY_KIND["Deployment"]["spec"]["template"]
CONTAINER = POD["spec"]["containers"][0]
SCHEMAS = "1.37"


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part["kind"])
def test_every_part_is_valid_by_the_schemas_of_kubernetes(part):
    kubernetes_validate.validate(part, SCHEMAS, strict=True)


def test_the_schemas_refuse_what_the_api_would_refuse():
    broken = yaml.safe_load(yaml.safe_dump(BY_KIND["Deployment"]))
    broken["spec"]["template"]["spec"]["securtyContext"] = {}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, SCHEMAS, strict=True)


def test_the_pod_is_as_restricted_as_the_standard_restricted_profile():
    pod, container = POD["spec"]["securityContext"], CONTAINER["securityContext"]

    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] == 10001
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["spec"]["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & POD["spec"].keys()


def test_the_servers_options_exist_and_demand_tokens_and_certificates():
    options = serve.parser().parse_args(CONTAINER["args"])

    assert options.server.tokens
    assert options.server.tls.certificate
    assert options.server.tls.key
    assert not options.server.insecure
    assert options.events.store.startswith("postgresql://")


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe"])
def test_probes_speak_tls_and_leave_the_command_time_to_start(probe):
    command = CONTAINER[probe]["exec"]["command"]
    options = probe_parser().parse_args(command[4:])

    assert command[:4] == ["/venv/bin/python", "-m", "serving", "probe"]
    assert options.ca
    assert CONTAINER[probe]["timeoutSeconds"] > options.timeout


def test_a_pod_may_drain_before_it_is_killed():
    options = serve.parser().parse_args(CONTAINER["args"])
    grace = options.server.grace_seconds
    sleep = int(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])

    assert grace > ServerConfig().grace_seconds
    assert POD["spec"]["terminationGracePeriodSeconds"] > sleep + grace


def test_every_secret_and_folder_is_mounted_where_the_options_say():
    mounts = {mount["mountPath"]: mount for mount in CONTAINER["volumeMounts"]}
    files = [
        value
        for argument in CONTAINER["args"]
        if (value := argument.partition("=")[2]).startswith("/")
    ]

    assert len(files) == 3
    assert all(Path(file).parent == Path("/secrets") for file in files)
    assert mounts["/secrets"]["readOnly"]
    assert mounts["/releases"]["readOnly"]
    assert {mount["name"] for mount in mounts.values()} == {
        volume["name"] for volume in POD["spec"]["volumes"]
    }


def test_selectors_name_the_pods_labels():
    labels = POD["metadata"]["labels"]

    assert BY_KIND["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert BY_KIND["Service"]["spec"]["selector"] == labels
    assert BY_KIND["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert BY_KIND["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels


def test_a_disruption_leaves_a_server_and_the_network_is_closed_by_default():
    replicas = BY_KIND["Deployment"]["spec"]["replicas"]
    policy = BY_KIND["NetworkPolicy"]["spec"]

    assert BY_KIND["PodDisruptionBudget"]["spec"]["minAvailable"] < replicas
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert all(rule.get("from") and rule.get("ports") for rule in policy["ingress"])
    assert all(rule.get("to") and rule.get("ports") for rule in policy["egress"])
