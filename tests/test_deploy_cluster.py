"""What the files of a cluster name is there, and they agree; nothing of it is started.

There is no schema of Kubernetes or KubeRay here to hold the manifest to: that their
fields exist, only they can say.
"""

import re
import tomllib
from datetime import timedelta
from importlib import import_module

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from engine.config import EngineConfig, build
from engine.ray import APPLICATION, Replica
from stream.config import read_config
from tests.checkout import ROOT
from tests.test_repository import PROJECT

DEPLOY = ROOT / "deploy"
SETTINGS = DEPLOY / "cluster.toml"
IMAGE = "salmonn-live:cluster"
SESSIONS = "salmonn-sessions"


@pytest.fixture
def config():
    return read_config(SETTINGS, {})


@pytest.fixture
def compose():
    return yaml.safe_load((DEPLOY / "compose.cluster.yaml").read_text())["services"]


@pytest.fixture
def manifest():
    """Return the objects of the manifest by their kinds, those of sessions apart."""
    objects = list(yaml.safe_load_all((DEPLOY / "kuberay.yaml").read_text()))
    kinds = {}
    for one in objects:
        is_shared = one["metadata"]["name"] == SESSIONS
        kinds[f"{SESSIONS} {one['kind']}" if is_shared else one["kind"]] = one
    assert len(kinds) == len(objects)
    return kinds


def pods(manifest):
    """Return the pods of the cluster's nodes and of the front ends, by a name."""
    spec = manifest["RayCluster"]["spec"]
    (workers,) = spec["workerGroupSpecs"]
    return {
        "head": spec["headGroupSpec"]["template"]["spec"],
        "workers": workers["template"]["spec"],
        "front": manifest["Deployment"]["spec"]["template"]["spec"],
    }


def container(pod):
    (only,) = pod["containers"]
    return only


def seconds(text):
    """Return how long compose waits: `75s`."""
    return timedelta(seconds=float(text.removesuffix("s"))).total_seconds()


def test_the_settings_of_a_cluster_are_right(config):
    assert config.engine.backend == "ray"
    assert config.engine.ray.address == "auto", "each container joins before"


def test_the_manifest_has_the_same_settings_and_mounts_them(manifest, config):
    settings = manifest["ConfigMap"]["data"]
    assert tomllib.loads(settings["server.toml"]) == tomllib.loads(SETTINGS.read_text())
    front = pods(manifest)["front"]
    (volume,) = front["volumes"]
    assert volume["configMap"]["name"] == manifest["ConfigMap"]["metadata"]["name"]
    (mount,) = container(front)["volumeMounts"]
    assert mount["name"] == volume["name"]
    assert f"--config {mount['mountPath']}/server.toml" in container(front)["args"][0]


def test_the_manifest_asks_for_the_ray_that_is_installed(manifest):
    pins = (ROOT / "constraints.txt").read_text()
    (pinned,) = re.findall(r"^ray==(\S+)$", pins, re.MULTILINE)
    assert manifest["RayCluster"]["spec"]["rayVersion"] == pinned


def test_all_nodes_and_front_ends_have_the_image_of_the_clusters_dockerfile(
    manifest,
):
    assert {container(pod)["image"] for pod in pods(manifest).values()} == {IMAGE}
    dockerfile = (DEPLOY / "Dockerfile.cluster").read_text()
    assert f"docker build -f deploy/Dockerfile.cluster -t {IMAGE} ." in dockerfile


def test_front_ends_of_the_manifest_find_the_head_and_are_found(manifest, config):
    front = container(pods(manifest)["front"])
    # KubeRay names the service of a cluster's head after it.
    head = f"{manifest['RayCluster']['metadata']['name']}-head-svc"
    assert f"ray start --address={head}:6379 " in front["args"][0]
    assert [port["containerPort"] for port in front["ports"]] == [config.port]
    assert front["readinessProbe"]["httpGet"] == {
        "path": "/health",
        "port": config.port,
    }
    labels = manifest["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert manifest["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert manifest["Service"]["spec"]["selector"] == labels
    (port,) = manifest["Service"]["spec"]["ports"]
    assert port["port"] == config.port


def test_front_ends_of_the_manifest_share_their_sessions_and_nobody_else_does(
    manifest, compose
):
    shared = manifest[f"{SESSIONS} Deployment"]["spec"]
    valkey = container(shared["template"]["spec"])
    assert valkey["image"] == compose["sessions"]["image"]
    assert valkey["command"] == compose["sessions"]["entrypoint"]
    labels = shared["template"]["metadata"]["labels"]
    assert shared["selector"]["matchLabels"] == labels
    service = manifest[f"{SESSIONS} Service"]["spec"]
    assert service["selector"] == labels
    (port,) = service["ports"]
    assert valkey["ports"] == [{"containerPort": port["port"]}]
    told = {
        one["name"]: one.get("value")
        for one in container(pods(manifest)["front"])["env"]
    }
    assert told["SALMONN_VALKEY"] == f"valkey://{SESSIONS}:{port['port']}/0"
    policy = manifest[f"{SESSIONS} NetworkPolicy"]["spec"]
    assert policy["podSelector"]["matchLabels"] == labels
    (let_in,) = policy["ingress"]
    assert let_in["ports"] == [port]
    (who,) = let_in["from"]
    front = manifest["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert who == {"podSelector": {"matchLabels": front}}


def test_the_secrets_that_are_asked_for_are_those_that_the_manifest_says_to_make(
    manifest,
):
    text = (DEPLOY / "kuberay.yaml").read_text()
    made = set(re.findall(r"create secret generic (\S+) --from-literal=(\w+)=", text))
    wanted = {
        (found["secretKeyRef"]["name"], found["secretKeyRef"]["key"])
        for entry in container(pods(manifest)["front"])["env"]
        if (found := entry.get("valueFrom"))
    }
    # That key is KubeRay's word.
    options = manifest["RayCluster"]["spec"]["authOptions"]
    wanted.add((options["secretName"], "auth_token"))
    assert made == wanted


def test_a_node_has_room_for_a_replica(manifest, compose, config):
    resources = container(pods(manifest)["workers"])["resources"]
    assert float(resources["limits"]["cpu"]) >= config.engine.ray.cpus
    (cpus,) = re.findall(
        r"--num-cpus=(\d+)", " ".join(compose["replicas"]["entrypoint"])
    )
    assert int(cpus) >= config.engine.ray.cpus * config.engine.ray.min_replicas


def test_nodes_that_end_have_the_time_that_they_may_take(manifest, compose, config):
    replicas = config.engine.ray.drain_s
    assert pods(manifest)["workers"]["terminationGracePeriodSeconds"] > replicas
    assert seconds(compose["replicas"]["stop_grace_period"]) > replicas
    sessions = config.limits.drain_s
    assert pods(manifest)["front"]["terminationGracePeriodSeconds"] > sessions
    assert seconds(compose["front"]["stop_grace_period"]) > sessions


def test_the_head_and_front_ends_have_no_place_for_replicas(manifest, compose):
    head = manifest["RayCluster"]["spec"]["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert "--num-cpus=0" in compose["head"]["entrypoint"]
    for joining in (
        container(pods(manifest)["front"])["args"][-1],
        compose["front"]["entrypoint"][-1],
    ):
        start, then = joining.split(" && ")
        assert start.startswith("ray start ")
        assert "--num-cpus=0" in start
        command, *options = then.removeprefix("exec ").split()
        assert command in PROJECT["scripts"]
        assert options[:2] == ["--engine", "ray"]


def test_containers_find_the_head_and_are_found(compose, config):
    (port,) = [
        word for word in compose["head"]["entrypoint"] if word.startswith("--port=")
    ]
    address = f"--address=head:{port.removeprefix('--port=')}"
    assert address in compose["replicas"]["entrypoint"]
    assert address in compose["front"]["entrypoint"][-1]
    assert compose["replicas"]["depends_on"] == ["head"]
    assert compose["front"]["depends_on"] == ["head", "sessions"]
    shared = compose["front"]["environment"]["SALMONN_VALKEY"]
    assert shared.startswith("valkey://sessions:")
    (ports,) = compose["front"]["ports"]
    assert ports.rpartition(":")[2] == str(config.port)
    (settings,) = [v for v in compose["front"]["volumes"] if v.startswith("./")]
    source, target, _ = settings.split(":")
    assert (DEPLOY / source).samefile(SETTINGS)
    assert f"--config {target}" in compose["front"]["entrypoint"][-1]


def test_all_containers_have_the_same_token_and_only_front_ends_those_of_users(compose):
    tokens = {
        name: {
            key
            for key in service.get("environment", ())
            if key.endswith(("TOKEN", "TOKENS"))
        }
        for name, service in compose.items()
    }
    ours = {"RAY_AUTH_TOKEN"}
    assert tokens == {
        "head": ours,
        "replicas": ours,
        "front": ours | {"SALMONN_TOKENS"},
        "sessions": set(),
    }
    modes = {
        compose[name]["environment"]["RAY_AUTH_MODE"]
        for name in tokens
        if ours & tokens[name]
    }
    assert modes == {"token"}


def test_the_update_is_of_the_application_that_front_ends_take(config):
    """Ray's own schema, and our settings."""
    told = ServeDeploySchema.model_validate(
        yaml.safe_load((DEPLOY / "serve.yaml").read_text())
    )
    (application,) = told.applications
    assert application.name == APPLICATION
    assert application.route_prefix is None
    assert told.proxy_location == "Disabled"
    module, _, name = application.import_path.partition(":")
    deployed = getattr(import_module(module), name)(application.args)._bound_deployment
    assert deployed.func_or_class is Replica
    assert [one.name for one in application.deployments] == [deployed.name]
    assert build(EngineConfig, application.args) == config.engine
