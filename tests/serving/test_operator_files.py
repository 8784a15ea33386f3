"""The files in `serving/`: they parse, fit their schemas, and agree with exports and with `skinzoo serve`."""

import json
import re
from pathlib import Path

import grpc
import pytest
from google.protobuf import text_format
from model_server import FLAGS, UNUSED
from tensorflow_serving.config import model_server_config_pb2
from typer.main import get_command

from skinzoo.cli import app
from skinzoo.registry import registry
from skinzoo.serving.batching import read_batching
from skinzoo.serving.config import read_config
from skinzoo.serving.monitoring import read_monitoring
from skinzoo.serving.rest.options import METRICS_PATH
from skinzoo.serving.server import ServerOptions
from skinzoo.serving.tensorflow_files import MODELS, batching_for
from skinzoo.specs import VariantSpec

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

FOLDER = Path(__file__).resolve().parents[2] / "serving"
MANIFESTS = FOLDER / "kubernetes"
VERSION = "1.33"
GRPC, REST = ServerOptions().port, 8501
CONFIGS = ("models.config", "batching-cpu.config", "batching-gpu.config", "monitoring.config")
# What belongs to a controller beside Kubernetes itself.
OTHER_SCHEMAS = ("gateway.yaml", "kserve.yaml", "kustomization.yaml")


def documents(path):
    found = list(yaml.safe_load_all(path.read_text()))
    assert all(isinstance(one, dict) for one in found), path
    return found


def manifests():
    return {(one["kind"], one["metadata"]["name"]): one for path in sorted(MANIFESTS.glob("*.yaml"))
            if path.name != "kustomization.yaml" for one in documents(path)}  # fmt: skip


def options_of_serve():
    command = get_command(app).commands["serve"]
    return {name for one in command.params for name in (*one.opts, *one.secondary_opts)}


def flags(words):
    return {word.partition("=")[0]: word.partition("=")[2] for word in words if word.startswith("--")}


def every_file():
    return sorted(path for path in FOLDER.rglob("*") if path.is_file())


def test_every_file_is_known_here():
    assert {path.relative_to(FOLDER).as_posix() for path in every_file()} == {
        *CONFIGS, "Dockerfile", "tensorflow.Dockerfile", "compose.cpu.yaml", "compose.gpu.yaml", "envoy.yaml",
        "prometheus/prometheus.yaml", "prometheus/rules.yaml", "grafana/dashboard.json",
        *(f"kubernetes/{name}.yaml" for name in (
            "config", "deployment-cpu", "deployment-gpu", "service", "autoscaler", "disruption-budget",
            "network-policy", "gateway", "kserve", "kustomization")),
    }  # fmt: skip


def test_no_file_names_a_registry_or_a_folder_of_a_machine():
    for path in every_file():
        text = path.read_text()
        assert not re.search(r"\b(ghcr|quay|gcr|nvcr|docker)\.io\b|registry\.", text), path
        assert not re.search(r"/(root|work|home/(?!skinzoo))", text), path


def test_models():
    text = (FOLDER / "models.config").read_text()
    text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (source,) = read_config(FOLDER / "models.config")
    assert source.base_path == Path(MODELS / source.name)
    # An export is called as its variant unless told otherwise.
    assert source.name in registry().names(VariantSpec.kind)
    assert source.policy.latest == 2


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_batching_is_what_the_launcher_writes(device):
    assert read_batching(FOLDER / f"batching-{device}.config") == batching_for(gpu=device == "gpu")


def test_monitoring():
    assert read_monitoring(FOLDER / "monitoring.config") == METRICS_PATH


def test_the_config_map_holds_the_files():
    found = manifests()["ConfigMap", "skinzoo-config"]["data"]
    assert found == {name: (FOLDER / name).read_text() for name in CONFIGS}


@pytest.mark.parametrize("path", sorted(MANIFESTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_manifests_fit_the_schemas_of_kubernetes(path):
    if path.name in OTHER_SCHEMAS:
        assert all({"apiVersion", "kind"} <= set(one) for one in documents(path))
        return
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for one in documents(path):
        validator.validate(one, VERSION, strict=True)


def test_the_schemas_would_find_a_mistake():
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    (broken,) = documents(MANIFESTS / "deployment-cpu.yaml")
    broken["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerport"] = 1
    with pytest.raises(validator.ValidationError):
        validator.validate(broken, VERSION, strict=True)


def test_kustomization_lists_what_needs_no_controller():
    (found,) = documents(MANIFESTS / "kustomization.yaml")
    assert set(found["resources"]) == {path.name for path in MANIFESTS.glob("*.yaml")} - set(OTHER_SCHEMAS)


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_deployments_agree_with_the_server(device):
    found = manifests()["Deployment", f"skinzoo-{device}"]["spec"]
    pod = found["template"]
    assert found["selector"]["matchLabels"] == pod["metadata"]["labels"]
    (container,) = pod["spec"]["containers"]
    given = flags(container["args"])
    if device == "cpu":
        assert set(given) <= options_of_serve()
        assert given["--rest-api-port"] == str(REST)
        stops = float(given["--drain-seconds"]) + float(given["--lame-duck-seconds"])
        assert pod["spec"]["terminationGracePeriodSeconds"] > stops
    else:
        assert {name.removeprefix("--") for name in given} <= FLAGS | UNUSED
        assert given["--enable_grpc_healthcheck_service"] == "true"
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {one["name"]: one["containerPort"] for one in container["ports"]} == {"grpc": GRPC, "rest": REST}
    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe]["grpc"] == {"port": GRPC, "service": "PredictionService"}
    mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
    assert mounts[str(MODELS)] == "models"
    assert {one["name"] for one in pod["spec"]["volumes"]} == set(mounts.values())
    data = manifests()["ConfigMap", "skinzoo-config"]["data"]
    read = [value for value in given.values() if value.startswith("/config/")]
    assert read
    assert {Path(one).name for one in read} <= set(data)
    annotations = pod["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == METRICS_PATH
    assert annotations["prometheus.io/port"] == str(REST)


def test_what_selects_the_pods_selects_them():
    found = manifests()
    labels = [one["spec"]["template"]["metadata"]["labels"] for (kind, _), one in found.items()
              if kind == "Deployment"]  # fmt: skip
    selectors = [
        found["Service", "skinzoo"]["spec"]["selector"],
        found["Service", "skinzoo-all"]["spec"]["selector"],
        found["PodDisruptionBudget", "skinzoo"]["spec"]["selector"]["matchLabels"],
        found["NetworkPolicy", "skinzoo"]["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector.items() <= one.items() for selector in selectors for one in labels)
    target = found["HorizontalPodAutoscaler", "skinzoo-cpu"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) in found
    ports = {one["name"]: one["port"] for one in found["Service", "skinzoo"]["spec"]["ports"]}
    assert ports == {"grpc": GRPC, "rest": REST}
    assert found["Service", "skinzoo-all"]["spec"]["clusterIP"] == "None"


def test_routes_lead_to_services_that_the_server_has():
    found = manifests()
    (rule,) = found["GRPCRoute", "skinzoo"]["spec"]["rules"]
    from skinzoo.serving import model_service, prediction_service, typed

    known = {prediction_service.SERVICE_NAME, model_service.SERVICE_NAME, typed.SERVICE_NAME}
    known.add("grpc.health.v1.Health")
    assert {one["method"]["service"] for one in rule["matches"]} == known
    (backend,) = rule["backendRefs"]
    assert ("Service", backend["name"]) in found
    assert backend["port"] == GRPC


def test_kserve_serves_a_model_of_the_claim():
    found = manifests()["InferenceService", "mobilenetv3large"]["spec"]["predictor"]["model"]
    (source,) = read_config(FOLDER / "models.config")
    volumes = manifests()["Deployment", "skinzoo-cpu"]["spec"]["template"]["spec"]["volumes"]
    (claim,) = [one["persistentVolumeClaim"]["claimName"] for one in volumes if one["name"] == "models"]
    assert found["storageUri"] == f"pvc://{claim}/{source.name}"
    assert {name.removeprefix("--") for name in flags(found["args"])} <= FLAGS | UNUSED


def test_envoy_balances_calls_over_the_headless_service():
    (found,) = documents(FOLDER / "envoy.yaml")
    (cluster,) = found["static_resources"]["clusters"]
    (listener,) = found["static_resources"]["listeners"]
    (locality,) = cluster["load_assignment"]["endpoints"]
    (endpoint,) = locality["lb_endpoints"]
    address = endpoint["endpoint"]["address"]["socket_address"]
    assert ("Service", address["address"]) in manifests()
    assert address["port_value"] == listener["address"]["socket_address"]["port_value"] == GRPC
    assert cluster["type"] == "STRICT_DNS"
    (protocol,) = cluster["typed_extension_protocol_options"].values()
    # Without it Envoy would speak HTTP/1.1 to the servers, over which there is no gRPC.
    assert "http2_protocol_options" in protocol["explicit_http_config"]
    assert cluster["health_checks"][0]["grpc_health_check"]["service_name"] == "PredictionService"
    (filters,) = listener["filter_chains"]
    routes = filters["filters"][0]["typed_config"]["route_config"]["virtual_hosts"][0]["routes"]
    assert all(one["route"]["cluster"] == cluster["name"] for one in routes)


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_compose_agrees_with_the_server(device):
    (found,) = documents(FOLDER / f"compose.{device}.yaml")
    for name, service in found["services"].items():
        for volume in service["volumes"]:
            outside = volume.partition(":")[0]
            assert outside.startswith("${EXPORTS") or (FOLDER / outside).is_file(), volume
        if name == "prometheus":
            continue
        assert service["ports"] == [f"127.0.0.1:{port}:{port}" for port in (GRPC, REST)]
        assert any(volume.endswith(f":{MODELS}:ro") for volume in service["volumes"])
        given = flags(service.get("command", []))
        if name == "tensorflow":
            assert {one.removeprefix("--") for one in given} <= FLAGS | UNUSED
            inside = {volume.split(":")[-2] for volume in service["volumes"]}
            assert {one for one in given.values() if one.startswith("/config/")} <= inside
            assert service["image"].endswith("-gpu") == (device == "gpu")
            # Signals do not end a first process that handles none.
            assert service["init"] is True
        else:
            assert set(given) <= options_of_serve()
            assert (FOLDER / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        if device == "gpu":
            (card,) = service["deploy"]["resources"]["reservations"]["devices"]
            assert (card["driver"], card["capabilities"]) == ("nvidia", ["gpu"])


def instructions(name):
    """Return a Dockerfile's instructions, lines that go on joined."""
    joined = re.sub(r"\\\n\s*", " ", (FOLDER / name).read_text())
    return [line.partition(" ")[::2] for line in joined.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("name", ["Dockerfile", "tensorflow.Dockerfile"])
def test_dockerfiles_agree_with_the_server(name):
    found = instructions(name)
    assert next(word for word, _ in found if word != "ARG") == "FROM"
    steps = dict(found)
    assert steps["EXPOSE"].split() == [str(GRPC), str(REST)]
    assert steps["USER"] == "10001"
    copied = [word for step, rest in found if step == "COPY" for word in rest.split()[:-1]]
    sources = [FOLDER.parent / one for one in copied if "$" not in one]
    assert sources
    assert all(one.exists() for one in sources)
    words = json.loads(steps["ENTRYPOINT"]) + json.loads(steps.get("CMD", "[]"))
    if name == "Dockerfile":
        assert words[:2] == ["skinzoo", "serve"]
        assert set(flags(words)) <= options_of_serve()
    else:
        assert words[0] == "tensorflow_model_server"
        assert {one.removeprefix("--") for one in flags(words)} <= FLAGS | UNUSED


def test_the_extras_of_the_images_exist():
    project = (FOLDER.parent / "pyproject.toml").read_text()
    for path in (FOLDER / "Dockerfile", *FOLDER.glob("compose.*.yaml")):
        for extras in re.findall(r"EXTRAS[=:] ?([a-z,]+)", path.read_text()):
            assert all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in extras.split(","))


@pytest.fixture(scope="module")
def metrics():
    """Names on the Prometheus page of our server, after a call that ran."""
    pytest.importorskip("prometheus_client", reason="the extra `rest` is not installed")
    from skinzoo.serving.metrics import Metrics

    page = Metrics().page()
    return set(re.findall(r"^# TYPE (\S+) ", page, re.MULTILINE))


def used(expression):
    names = re.findall(r":(?:tensorflow|skinzoo):serving:[a-z_:]+", expression)
    return {re.sub(r"_(bucket|count|sum)$", "", name) if not name.endswith("request_count") else name
            for name in names}  # fmt: skip


def test_rules_use_metrics_that_there_are(metrics):
    (found,) = documents(FOLDER / "prometheus" / "rules.yaml")
    rules = [rule for group in found["groups"] for rule in group["rules"]]
    recorded = {rule["record"] for rule in rules if "record" in rule}
    for rule in rules:
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert used(rule["expr"]) <= metrics
        assert (
            set(re.findall(r"\bskinzoo:[a-z0-9_:]+", re.sub(r":skinzoo:\S+", "", rule["expr"]))) <= recorded
        )
        if "alert" in rule:
            assert {"summary", "description"} <= set(rule["annotations"])
            assert rule["labels"]["severity"] in ("critical", "warning")
        codes = re.findall(r'status=~"([A-Z_|]+)"', rule["expr"])
        assert all(code in grpc.StatusCode.__members__ for one in codes for code in one.split("|"))
    alerts = [rule["alert"] for rule in rules if "alert" in rule]
    assert len(set(alerts)) == len(alerts) == 4


def test_prometheus_asks_where_the_metrics_are():
    (found,) = documents(FOLDER / "prometheus" / "prometheus.yaml")
    (job,) = found["scrape_configs"]
    (compose,) = documents(FOLDER / "compose.cpu.yaml")
    assert job["metrics_path"] == METRICS_PATH
    for target in job["static_configs"][0]["targets"]:
        host, _, port = target.partition(":")
        assert host in compose["services"]
        assert port == str(REST)
    assert all((FOLDER / "prometheus" / name).is_file() for name in found["rule_files"])
    down = re.search(r'up\{job="([^"]+)"\}', (FOLDER / "prometheus" / "rules.yaml").read_text())
    assert down[1] == job["job_name"]


def test_the_dashboard_shows_metrics_that_there_are(metrics):
    found = json.loads((FOLDER / "grafana" / "dashboard.json").read_text())
    panels = found["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)
    variables = {one["name"] for one in found["templating"]["list"]} | {"__rate_interval"}
    for panel in panels:
        assert panel["targets"]
        for target in panel["targets"]:
            names = used(target["expr"])
            assert names
            assert names <= metrics, target["expr"]
            assert set(re.findall(r"\$(\w+)", target["expr"])) <= variables
