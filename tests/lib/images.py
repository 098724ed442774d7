"""Images for tests, made here from Debian's busybox-static: OCI layout folders, archives of both kinds, a registry on loopback.
Standard library only."""
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import tarfile

ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
BUSYBOX = "/bin/busybox"
APPLETS = ["sh", "sleep", "echo", "cat", "id", "env", "hostname", "ls", "touch", "httpd", "nc", "kill", "true", "false", "grep", "wget",
           "mount", "df", "tail", "stat"]


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def entry(name, kind=tarfile.REGTYPE, data=b"", mode=0o755, link="", uid=0, gid=0):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.size, info.uid, info.gid = kind, mode, link, len(data), uid, gid
    return info, data


def layer(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def base_layer():
    with open(BUSYBOX, "rb") as f:
        busybox = f.read()
    entries = [entry(d, tarfile.DIRTYPE) for d in ("bin", "etc", "data")] + [entry("tmp", tarfile.DIRTYPE, mode=0o1777)]
    entries.append(entry("bin/busybox", data=busybox))
    entries += [entry("bin/" + a, tarfile.SYMTYPE, link="busybox") for a in APPLETS]
    entries.append(entry("etc/passwd", data=b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:App:/data:/bin/sh\n", mode=0o644))
    entries.append(entry("etc/group", data=b"root:x:0:\napp:x:1001:\nextra:x:2000:app\n", mode=0o644))
    entries.append(entry("data/from-image", data=b"of the image\n", mode=0o644))
    return layer(entries)


def config_of(layers, arch=ARCH, **config):
    return json.dumps({"architecture": arch, "os": "linux", "config": config,
                       "rootfs": {"type": "layers", "diff_ids": [digest(x) for x in layers]}}).encode()


def layout(folder, name, layers=None, arch=ARCH, spoil=None, **config):
    """An OCI layout with one image; spoil changes the bytes of its last layer after they were hashed."""
    layers = layers or [base_layer()]
    blobs = os.path.join(folder, "blobs", "sha256")
    os.makedirs(blobs)

    def put(data, kind, bad=None):
        with open(os.path.join(blobs, digest(data)[7:]), "wb") as f:
            f.write(bad or data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest(data), "size": len(data)}

    conf = put(config_of(layers, arch, **config), "config.v1+json")
    parts = [put(x, "layer.v1.tar", spoil if x is layers[-1] else None) for x in layers]
    manifest = put(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                               "config": conf, "layers": parts}).encode(), "manifest.v1+json")
    manifest["annotations"] = {"org.opencontainers.image.ref.name": name}
    manifest["platform"] = {"os": "linux", "architecture": arch}
    with open(os.path.join(folder, "index.json"), "w", encoding="utf-8") as f:
        json.dump({"schemaVersion": 2, "manifests": [manifest]}, f)
    with open(os.path.join(folder, "oci-layout"), "w", encoding="utf-8") as f:
        f.write('{"imageLayoutVersion": "1.0.0"}')
    return folder


def archive(folder, path):
    with tarfile.open(path, "w") as tar:
        for name in sorted(os.listdir(folder)):
            tar.add(os.path.join(folder, name), name)
    return path


def docker_archive(path, tag, layers=None, **config):
    """What `docker save` writes."""
    layers = layers or [base_layer()]
    conf = config_of(layers, **config)
    with tarfile.open(path, "w") as tar:
        for i, data in enumerate(layers):
            info, data = entry(f"l{i}/layer.tar", data=data)
            tar.addfile(info, io.BytesIO(data))
        info, _ = entry("config.json", data=conf)
        tar.addfile(info, io.BytesIO(conf))
        text = json.dumps([{"Config": "config.json", "RepoTags": [tag], "Layers": [f"l{i}/layer.tar" for i in range(len(layers))]}])
        info, data = entry("manifest.json", data=text.encode())
        tar.addfile(info, io.BytesIO(data))
    return path


def missing():
    """Why containers cannot be tried here, or None."""
    if os.geteuid() != 0:
        return "containers need root"
    for tool, package in (("runc", "runc"), ("skopeo", "skopeo"), ("docker-registry", "docker-registry")):
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            return f"{package} is not installed"
    return None if os.path.exists(BUSYBOX) else "busybox-static is not installed"


class Registry:
    """A docker-registry of one test's own."""

    def __init__(self, folder, address, port=5000):
        self.at = f"{address}:{port}"
        conf = os.path.join(folder, "registry.yml")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\n"
                    f"http: {{addr: '{self.at}'}}\n")
        self.log = open(os.path.join(folder, "registry.log"), "wb")
        self.process = subprocess.Popen(["docker-registry", "serve", conf], stdout=self.log, stderr=self.log)

    def push(self, folder, name):
        subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "--retry-times", "5", "--dest-tls-verify=false",
                        f"oci:{folder}", f"docker://{self.at}/{name}"], check=True)
        return f"{self.at}/{name}"

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
