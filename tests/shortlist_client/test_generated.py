"""The committed generated code matches the `.proto` files."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

PACKAGE = "shortlist_client/proto/recommender/v1"
NAMES = ["admin", "catalog", "classifier", "feedback", "privacy", "recommender"]


@pytest.fixture(scope="module")
def generated(pytestconfig, tmp_path_factory):
    """Folder of newly generated descriptors and type stubs."""
    folder = tmp_path_factory.mktemp("protos")
    plugins = {name: Path(sys.executable).with_name(f"protoc-gen-{name}") for name in PLUGINS}
    command = [
        *(sys.executable, "-m", "grpc_tools.protoc", "-Ishortlist_client/proto=protos"),
        *(f"--plugin=protoc-gen-{name}={path}" for name, path in plugins.items()),
        *(f"--mypy_out={folder}", f"--mypy_grpc_out={folder}"),
        f"--descriptor_set_out={folder / 'contract'}",
        *(f"protos/recommender/v1/{name}.proto" for name in NAMES),
    ]
    subprocess.run(command, cwd=pytestconfig.rootpath, check=True, capture_output=True)
    return folder


PLUGINS = ["mypy", "mypy_grpc"]


@pytest.mark.parametrize("name", NAMES)
def test_messages_and_services_match_the_proto(generated, name):
    contract = (generated / "contract").read_bytes()
    files = descriptor_pb2.FileDescriptorSet.FromString(contract).file
    (expected,) = [file for file in files if file.name.endswith(f"/{name}.proto")]
    found = descriptor_pb2.FileDescriptorProto()
    import_module(f"{PACKAGE}.{name}_pb2".replace("/", ".")).DESCRIPTOR.CopyToProto(found)

    for file in (expected, found):
        without_json_names(file.message_type)
    assert found == expected, "run `make protos`"


def without_json_names(messages):
    """Clear the JSON names, which the generated Python code does not have."""
    for message in messages:
        for field in message.field:
            field.ClearField("json_name")
        without_json_names(message.nested_type)


@pytest.mark.parametrize("name", NAMES)
def test_stubs_call_every_method(pytestconfig, name):
    descriptor = import_module(f"{PACKAGE}.{name}_pb2".replace("/", ".")).DESCRIPTOR
    code = (pytestconfig.rootpath / PACKAGE / f"{name}_pb2_grpc.py").read_text()

    for service in descriptor.services_by_name.values():
        for method in service.methods:
            assert f"'/{service.full_name}/{method.name}'" in code, "run `make protos`"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["pb2", "pb2_grpc"])
def test_type_stubs_match_the_proto(pytestconfig, generated, name, kind):
    file = f"{PACKAGE}/{name}_{kind}.pyi"

    committed = (pytestconfig.rootpath / file).read_text()

    assert committed == (generated / file).read_text(), "run `make protos`"
