//! Paths as runtimes make them, and what they say.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

/// A container's id, and a pod's uid, in paths below.
const ID: &str = "3c5f0e8a9b7d64e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f809";
const ID2: &str = "e1d2c3b4a5968778695a4b3c2d1e0f00112233445566778899aabbccddeeff00";
const UID: &str = "2c48a299-e1f2-4c55-8b5d-0a1b2c3d4e5f";
const BUILD: &str = "n4eu0udvbz9vfzjy71jkvgkwh";

/// A path with `ID`, `ID2`, `UID` (`U_D` with underscores) and `BUILD` in place of what they stand for.
fn filled(path: &str) -> String {
    let path = path.replace("ID2", ID2).replace("UID", UID).replace("U_D", &UID.replace('-', "_"));
    path.replace("ID", ID).replace("BUILD", BUILD)
}

fn told(place: &Place) -> String {
    let short =
        |text: &str| text.replace(ID2, "ID2").replace(ID, "ID").replace(UID, "UID").replace(BUILD, "BUILD");
    let mut words = Vec::new();
    if let Some(container) = &place.container {
        words.push(format!("{}:{}", container.runtime.map_or("?", Runtime::name), short(&container.id)));
    }
    for (name, value) in [
        ("unit", &place.unit),
        ("user_unit", &place.user_unit),
        ("slice", &place.slice),
        ("pod", &place.pod_uid),
    ] {
        words.extend(value.as_ref().map(|value| format!("{name}={}", short(value))));
    }
    words.extend(place.in_doubt.map(|_| "in doubt".to_owned()));
    if words.is_empty() { "-".into() } else { words.join(" ") }
}

/// Lines of paths with what they say.
#[expect(clippy::needless_pass_by_value, reason = "what expect! gives is a value")]
fn check(paths: &[&str], expected: Expect) {
    let line = |path: &&str| format!("{path}\n    {}\n", told(&Place::of_path(filled(path).as_bytes())));
    expected.assert_eq(&paths.iter().map(line).collect::<String>());
}

#[test]
fn plain_processes_and_units() {
    check(
        &[
            "/",
            "/init.scope",
            "/system.slice/nginx.service",
            "/system.slice/system-getty.slice/getty@tty1.service",
            "/system.slice/system-serial\\x2dgetty.slice/serial-getty@ttyS0.service",
            "/system.slice/docker.service",
            "/system.slice/containerd.service",
            "/system.slice/dbus.socket",
            "/system.slice/var-lib-x.mount",
            "/system.slice/php-fpm.service/pool-www.service",
            "/_cpu.service",
            "/user.slice/user-1000.slice/session-3.scope",
            "/user.slice/user-1000.slice/user@1000.service/init.scope",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-4242.scope",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-dbus.slice/dbus-:1.2-org.x@0.service",
            "/user.slice/user-1000.slice/user@1000.service/session.slice/pipewire.service",
            "/user.slice/user-1000.slice/user@1000.service",
            "/user.slice/user@nobody.service/app.slice/x.service",
            "/system.slice/user@.service.d/x.service",
            "/custom/worker",
            "/custom/x.service",
            "/system.slice",
            "/system.slice/snap.lxd.daemon.service",
            "/system.slice/lxc.service",
        ],
        expect![[r#"
            /
                -
            /init.scope
                unit=init.scope
            /system.slice/nginx.service
                unit=nginx.service slice=system.slice
            /system.slice/system-getty.slice/getty@tty1.service
                unit=getty@tty1.service slice=system-getty.slice
            /system.slice/system-serial\x2dgetty.slice/serial-getty@ttyS0.service
                unit=serial-getty@ttyS0.service slice=system-serial\x2dgetty.slice
            /system.slice/docker.service
                unit=docker.service slice=system.slice
            /system.slice/containerd.service
                unit=containerd.service slice=system.slice
            /system.slice/dbus.socket
                unit=dbus.socket slice=system.slice
            /system.slice/var-lib-x.mount
                unit=var-lib-x.mount slice=system.slice
            /system.slice/php-fpm.service/pool-www.service
                unit=php-fpm.service slice=system.slice
            /_cpu.service
                unit=cpu.service
            /user.slice/user-1000.slice/session-3.scope
                unit=session-3.scope slice=user-1000.slice
            /user.slice/user-1000.slice/user@1000.service/init.scope
                unit=user@1000.service user_unit=init.scope slice=user-1000.slice
            /user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-4242.scope
                unit=user@1000.service user_unit=app-gnome-firefox-4242.scope slice=user-1000.slice
            /user.slice/user-1000.slice/user@1000.service/app.slice/app-dbus.slice/dbus-:1.2-org.x@0.service
                unit=user@1000.service user_unit=dbus-:1.2-org.x@0.service slice=user-1000.slice
            /user.slice/user-1000.slice/user@1000.service/session.slice/pipewire.service
                unit=user@1000.service user_unit=pipewire.service slice=user-1000.slice
            /user.slice/user-1000.slice/user@1000.service
                unit=user@1000.service slice=user-1000.slice
            /user.slice/user@nobody.service/app.slice/x.service
                unit=user@nobody.service slice=user.slice
            /system.slice/user@.service.d/x.service
                slice=system.slice
            /custom/worker
                -
            /custom/x.service
                -
            /system.slice
                slice=system.slice
            /system.slice/snap.lxd.daemon.service
                unit=snap.lxd.daemon.service slice=system.slice
            /system.slice/lxc.service
                unit=lxc.service slice=system.slice
        "#]],
    );
}

#[test]
fn docker() {
    check(
        &[
            "/docker/ID",
            "/docker/ID/init",
            "/system.slice/docker-ID.scope",
            "/system.slice/docker-ID.scope/init.scope",
            "/system.slice/docker-ID.scope/system.slice/foo.service",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/docker.service",
            "/docker/buildkit/BUILD",
            "/system.slice/docker-BUILD.scope",
            "/docker/ID/buildkit/BUILD",
            "/buildkit/BUILD",
            "/actions_job/ID",
            "/docker/ID/docker/ID2",
            "/system.slice/docker-ID.scope/docker/ID2/init",
            // No ids of containers'.
            "/system.slice/docker-registry.service",
            "/system.slice/docker-cleanup.scope",
            "/docker",
            "/docker/volumes",
        ],
        expect![[r#"
            /docker/ID
                docker:ID
            /docker/ID/init
                docker:ID
            /system.slice/docker-ID.scope
                docker:ID unit=docker-ID.scope slice=system.slice
            /system.slice/docker-ID.scope/init.scope
                docker:ID unit=docker-ID.scope slice=system.slice
            /system.slice/docker-ID.scope/system.slice/foo.service
                docker:ID unit=docker-ID.scope slice=system.slice
            /user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope
                docker:ID unit=user@1000.service user_unit=docker-ID.scope slice=user-1000.slice
            /user.slice/user-1000.slice/user@1000.service/app.slice/docker.service
                unit=user@1000.service user_unit=docker.service slice=user-1000.slice
            /docker/buildkit/BUILD
                docker:BUILD
            /system.slice/docker-BUILD.scope
                docker:BUILD unit=docker-BUILD.scope slice=system.slice
            /docker/ID/buildkit/BUILD
                ?:BUILD
            /buildkit/BUILD
                ?:BUILD
            /actions_job/ID
                ?:ID
            /docker/ID/docker/ID2
                docker:ID2
            /system.slice/docker-ID.scope/docker/ID2/init
                docker:ID2 unit=docker-ID.scope slice=system.slice
            /system.slice/docker-registry.service
                unit=docker-registry.service slice=system.slice
            /system.slice/docker-cleanup.scope
                unit=docker-cleanup.scope slice=system.slice
            /docker
                -
            /docker/volumes
                -
        "#]],
    );
}

#[test]
fn kubernetes() {
    check(
        &[
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_D.slice/cri-containerd-ID.scope",
            "/kubepods.slice/kubepods-podU_D.slice/cri-containerd-ID.scope/nested",
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_D.slice/crio-ID.scope",
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_D.slice/crio-ID.scope/container",
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_D.slice/crio-conmon-ID.scope",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_D.slice/docker-ID.scope",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_D.slice",
            "/kubepods/burstable/podUID/ID",
            "/kubepods/besteffort/podUID/ID",
            "/kubepods/podUID/ID",
            "/kubepods/guaranteed/podUID/ID",
            "/kubepods/burstable/podUID/crio-ID",
            "/kubepods/burstable/podUID/crio-conmon-ID",
            "/kubepods/burstable/pod1fb2a94be8ac10b5c5ab0cbd0ee3a9a1/ID",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1fb2a94be8ac10b5c5ab0cbd0ee3a9a1.slice/cri-containerd-ID.scope",
            "/system.slice/containerd.service/kubepods-burstable-podU_D.slice:cri-containerd:ID",
            "/kubepods-besteffort-podU_D.slice:cri-containerd:ID",
            "/kubepods-besteffort-podU_D.slice:crio:ID",
            // A node that is a container.
            "/docker/ID/kubelet/kubepods/burstable/podUID/ID2",
            "/docker/ID/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podU_D.slice/cri-containerd-ID2.scope",
            "/system.slice/docker-ID.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-podU_D.slice/cri-containerd-ID2.scope",
            "/system.slice/docker-ID.scope/kubelet.slice/kubelet.service",
            // Docker in a pod.
            "/kubepods/burstable/podUID/ID/docker/ID2",
            // No pods.
            "/system.slice/podman.service",
            "/kubepods/burstable/pod",
            "/podUID/x",
            "/a-podU_D.slice",
        ],
        expect![[r#"
            /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_D.slice/cri-containerd-ID.scope
                containerd:ID unit=cri-containerd-ID.scope slice=kubepods-burstable-pod2c48a299_e1f2_4c55_8b5d_0a1b2c3d4e5f.slice pod=UID
            /kubepods.slice/kubepods-podU_D.slice/cri-containerd-ID.scope/nested
                containerd:ID unit=cri-containerd-ID.scope slice=kubepods-pod2c48a299_e1f2_4c55_8b5d_0a1b2c3d4e5f.slice pod=UID
            /kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_D.slice/crio-ID.scope
                cri-o:ID unit=crio-ID.scope slice=kubepods-besteffort-pod2c48a299_e1f2_4c55_8b5d_0a1b2c3d4e5f.slice pod=UID
            /kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_D.slice/crio-ID.scope/container
                cri-o:ID unit=crio-ID.scope slice=kubepods-besteffort-pod2c48a299_e1f2_4c55_8b5d_0a1b2c3d4e5f.slice pod=UID
            /kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_D.slice/crio-conmon-ID.scope
                unit=crio-conmon-ID.scope slice=kubepods-besteffort-pod2c48a299_e1f2_4c55_8b5d_0a1b2c3d4e5f.slice pod=UID
            /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_D.slice/docker-ID.scope
                docker:ID unit=docker-ID.scope slice=kubepods-burstable-pod2c48a299_e1f2_4c55_8b5d_0a1b2c3d4e5f.slice pod=UID
            /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_D.slice
                slice=kubepods-burstable-pod2c48a299_e1f2_4c55_8b5d_0a1b2c3d4e5f.slice pod=UID
            /kubepods/burstable/podUID/ID
                ?:ID pod=UID
            /kubepods/besteffort/podUID/ID
                ?:ID pod=UID
            /kubepods/podUID/ID
                ?:ID pod=UID
            /kubepods/guaranteed/podUID/ID
                ?:ID pod=UID
            /kubepods/burstable/podUID/crio-ID
                cri-o:ID pod=UID
            /kubepods/burstable/podUID/crio-conmon-ID
                pod=UID
            /kubepods/burstable/pod1fb2a94be8ac10b5c5ab0cbd0ee3a9a1/ID
                ?:ID pod=1fb2a94be8ac10b5c5ab0cbd0ee3a9a1
            /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1fb2a94be8ac10b5c5ab0cbd0ee3a9a1.slice/cri-containerd-ID.scope
                containerd:ID unit=cri-containerd-ID.scope slice=kubepods-burstable-pod1fb2a94be8ac10b5c5ab0cbd0ee3a9a1.slice pod=1fb2a94be8ac10b5c5ab0cbd0ee3a9a1
            /system.slice/containerd.service/kubepods-burstable-podU_D.slice:cri-containerd:ID
                containerd:ID unit=containerd.service slice=system.slice pod=UID
            /kubepods-besteffort-podU_D.slice:cri-containerd:ID
                containerd:ID pod=UID
            /kubepods-besteffort-podU_D.slice:crio:ID
                cri-o:ID pod=UID
            /docker/ID/kubelet/kubepods/burstable/podUID/ID2
                ?:ID2 pod=UID
            /docker/ID/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podU_D.slice/cri-containerd-ID2.scope
                containerd:ID2 pod=UID
            /system.slice/docker-ID.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-podU_D.slice/cri-containerd-ID2.scope
                containerd:ID2 unit=docker-ID.scope slice=system.slice pod=UID
            /system.slice/docker-ID.scope/kubelet.slice/kubelet.service
                docker:ID unit=docker-ID.scope slice=system.slice
            /kubepods/burstable/podUID/ID/docker/ID2
                docker:ID2 pod=UID
            /system.slice/podman.service
                unit=podman.service slice=system.slice
            /kubepods/burstable/pod
                -
            /podUID/x
                -
            /a-podU_D.slice
                slice=a-pod2c48a299_e1f2_4c55_8b5d_0a1b2c3d4e5f.slice
        "#]],
    );
}

#[test]
fn podman_and_containerd() {
    check(
        &[
            "/machine.slice/libpod-ID.scope",
            "/machine.slice/libpod-ID.scope/container",
            "/machine.slice/libpod-ID.scope/container/system.slice/nginx.service",
            "/machine.slice/libpod-conmon-ID.scope",
            "/machine.slice/machine-libpod_pod_ID.slice/libpod-ID2.scope/container",
            "/machine.slice/machine-libpod_pod_ID.slice/libpod-conmon-ID2.scope",
            "/libpod_parent/libpod-ID",
            "/libpod_parent/libpod-conmon-ID",
            "/libpod_parent/conmon",
            "/libpod_parent/ID/libpod-ID2",
            "/libpod_parent/ID/conmon",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-ID.scope",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_ID.slice/libpod-ID2.scope",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/podman-4242.scope",
            "/system.slice/nginx.service/libpod-payload-ID",
            "/system.slice/nginx.service/runtime",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/redis.service/libpod-payload-ID",
            "/system.slice/crun-buildah-buildah2365838308.scope",
            "/system.slice/nerdctl-ID.scope",
            "/default/ID",
            "/default/web",
        ],
        expect![[r#"
            /machine.slice/libpod-ID.scope
                podman:ID unit=libpod-ID.scope slice=machine.slice
            /machine.slice/libpod-ID.scope/container
                podman:ID unit=libpod-ID.scope slice=machine.slice
            /machine.slice/libpod-ID.scope/container/system.slice/nginx.service
                podman:ID unit=libpod-ID.scope slice=machine.slice
            /machine.slice/libpod-conmon-ID.scope
                unit=libpod-conmon-ID.scope slice=machine.slice
            /machine.slice/machine-libpod_pod_ID.slice/libpod-ID2.scope/container
                podman:ID2 unit=libpod-ID2.scope slice=machine-libpod_pod_ID.slice
            /machine.slice/machine-libpod_pod_ID.slice/libpod-conmon-ID2.scope
                unit=libpod-conmon-ID2.scope slice=machine-libpod_pod_ID.slice
            /libpod_parent/libpod-ID
                podman:ID
            /libpod_parent/libpod-conmon-ID
                -
            /libpod_parent/conmon
                -
            /libpod_parent/ID/libpod-ID2
                podman:ID2
            /libpod_parent/ID/conmon
                -
            /user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container
                podman:ID unit=user@1000.service user_unit=libpod-ID.scope slice=user-1000.slice
            /user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-ID.scope
                unit=user@1000.service user_unit=libpod-conmon-ID.scope slice=user-1000.slice
            /user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_ID.slice/libpod-ID2.scope
                podman:ID2 unit=user@1000.service user_unit=libpod-ID2.scope slice=user-1000.slice
            /user.slice/user-1000.slice/user@1000.service/user.slice/podman-4242.scope
                unit=user@1000.service user_unit=podman-4242.scope slice=user-1000.slice
            /system.slice/nginx.service/libpod-payload-ID
                podman:ID unit=nginx.service slice=system.slice
            /system.slice/nginx.service/runtime
                unit=nginx.service slice=system.slice
            /user.slice/user-1000.slice/user@1000.service/app.slice/redis.service/libpod-payload-ID
                podman:ID unit=user@1000.service user_unit=redis.service slice=user-1000.slice
            /system.slice/crun-buildah-buildah2365838308.scope
                ?:buildah-buildah2365838308 unit=crun-buildah-buildah2365838308.scope slice=system.slice
            /system.slice/nerdctl-ID.scope
                containerd:ID unit=nerdctl-ID.scope slice=system.slice
            /default/ID
                ?:ID
            /default/web
                -
        "#]],
    );
}

#[test]
fn machines_and_lxc() {
    check(
        &[
            "/machine.slice/systemd-nspawn@debian\\x2d12.service/payload",
            "/machine.slice/systemd-nspawn@web.service/payload/system.slice/nginx.service",
            "/machine.slice/systemd-nspawn@web.service/supervisor",
            "/machine.slice/systemd-nspawn@web.service",
            "/machine.slice/systemd-nspawn@web.service/init.scope",
            "/machine.slice/machine-debian\\x2d12.scope/payload/init.scope",
            "/machine.slice/machine-debian\\x2d12.scope",
            "/machine.slice/machine-debian\\x2d12.scope/supervisor",
            "/machine.slice/web.scope/payload",
            "/machine.slice/web.scope",
            "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator",
            "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope",
            "/machine.slice/machine-qemu\\x2dlike.scope",
            "/machine.slice/machine-lxc\\x2d4242\\x2dold.scope",
            "/machine/lxc-1-old.libvirt-lxc",
            "/lxc.payload.web",
            "/lxc.payload.web/init.scope",
            "/lxc.payload.web/system.slice/nginx.service",
            "/lxc.payload.web-1/user.slice/user-0.slice/session-1.scope",
            "/lxc.payload/web/system.slice/nginx.service",
            "/lxc.monitor.web",
            "/lxc.monitor/web",
            "/lxc/web",
            "/lxc/100/ns/system.slice/ssh.service",
            "/lxc/web/monitor",
            "/lxc.pivot",
            "/lxc.payload.",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/lxc-web-0.scope/lxc.payload.web",
            "/lxc.payload.outer/lxc.payload.inner/system.slice/x.service",
            "/lxc.payload.outer/system.slice/docker-ID.scope",
            "/lxc.payload.node/kubepods/burstable/podUID/ID",
        ],
        expect![[r#"
            /machine.slice/systemd-nspawn@debian\x2d12.service/payload
                systemd-nspawn:debian-12 unit=systemd-nspawn@debian\x2d12.service slice=machine.slice
            /machine.slice/systemd-nspawn@web.service/payload/system.slice/nginx.service
                systemd-nspawn:web unit=systemd-nspawn@web.service slice=machine.slice
            /machine.slice/systemd-nspawn@web.service/supervisor
                unit=systemd-nspawn@web.service slice=machine.slice
            /machine.slice/systemd-nspawn@web.service
                unit=systemd-nspawn@web.service slice=machine.slice
            /machine.slice/systemd-nspawn@web.service/init.scope
                systemd-nspawn:web unit=systemd-nspawn@web.service slice=machine.slice
            /machine.slice/machine-debian\x2d12.scope/payload/init.scope
                systemd-nspawn:debian-12 unit=machine-debian\x2d12.scope slice=machine.slice
            /machine.slice/machine-debian\x2d12.scope
                systemd-nspawn:debian-12 unit=machine-debian\x2d12.scope slice=machine.slice
            /machine.slice/machine-debian\x2d12.scope/supervisor
                unit=machine-debian\x2d12.scope slice=machine.slice
            /machine.slice/web.scope/payload
                systemd-nspawn:web unit=web.scope slice=machine.slice
            /machine.slice/web.scope
                unit=web.scope slice=machine.slice
            /machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt/emulator
                unit=machine-qemu\x2d1\x2dvm.scope slice=machine.slice
            /machine.slice/machine-qemu\x2d1\x2dvm.scope
                unit=machine-qemu\x2d1\x2dvm.scope slice=machine.slice
            /machine.slice/machine-qemu\x2dlike.scope
                systemd-nspawn:qemu-like unit=machine-qemu\x2dlike.scope slice=machine.slice
            /machine.slice/machine-lxc\x2d4242\x2dold.scope
                ?:lxc-4242-old unit=machine-lxc\x2d4242\x2dold.scope slice=machine.slice
            /machine/lxc-1-old.libvirt-lxc
                ?:lxc-1-old
            /lxc.payload.web
                lxc:web
            /lxc.payload.web/init.scope
                lxc:web
            /lxc.payload.web/system.slice/nginx.service
                lxc:web
            /lxc.payload.web-1/user.slice/user-0.slice/session-1.scope
                lxc:web-1
            /lxc.payload/web/system.slice/nginx.service
                lxc:web
            /lxc.monitor.web
                -
            /lxc.monitor/web
                -
            /lxc/web
                lxc:web
            /lxc/100/ns/system.slice/ssh.service
                lxc:100
            /lxc/web/monitor
                -
            /lxc.pivot
                -
            /lxc.payload.
                -
            /user.slice/user-1000.slice/user@1000.service/app.slice/lxc-web-0.scope/lxc.payload.web
                lxc:web unit=user@1000.service user_unit=lxc-web-0.scope slice=user-1000.slice
            /lxc.payload.outer/lxc.payload.inner/system.slice/x.service
                lxc:inner
            /lxc.payload.outer/system.slice/docker-ID.scope
                docker:ID
            /lxc.payload.node/kubepods/burstable/podUID/ID
                ?:ID pod=UID
        "#]],
    );
}

#[test]
fn clouds() {
    check(
        &[
            "/ecs/4c9b1a2f3e4d5c6b7a8990817263544a/4c9b1a2f3e4d5c6b7a8990817263544a-1234567890",
            "/ecs/4c9b1a2f3e4d5c6b7a8990817263544a/ID",
            "/ecstasks.slice/ecstasks-4c9b1a2f3e4d5c6b7a8990817263544a.slice/docker-ID.scope",
            "/ecs/x/y",
            "/system.slice/garden.service/garden/good/2f57368b-0eda-4e52-64d8-af5c",
            "/garden/2f57368b-0eda-4e52-64d8-af5c",
            "/garden/good",
            "/mesos/ID",
        ],
        expect![[r#"
            /ecs/4c9b1a2f3e4d5c6b7a8990817263544a/4c9b1a2f3e4d5c6b7a8990817263544a-1234567890
                ?:4c9b1a2f3e4d5c6b7a8990817263544a-1234567890
            /ecs/4c9b1a2f3e4d5c6b7a8990817263544a/ID
                ?:ID
            /ecstasks.slice/ecstasks-4c9b1a2f3e4d5c6b7a8990817263544a.slice/docker-ID.scope
                docker:ID unit=docker-ID.scope slice=ecstasks-4c9b1a2f3e4d5c6b7a8990817263544a.slice
            /ecs/x/y
                -
            /system.slice/garden.service/garden/good/2f57368b-0eda-4e52-64d8-af5c
                ?:2f57368b-0eda-4e52-64d8-af5c unit=garden.service slice=system.slice
            /garden/2f57368b-0eda-4e52-64d8-af5c
                ?:2f57368b-0eda-4e52-64d8-af5c
            /garden/good
                -
            /mesos/ID
                ?:ID
        "#]],
    );
}

#[test]
fn without_its_beginning_a_path_leaves_doubt() {
    check(
        &["system.slice/nginx.service", "deep/docker-ID.scope/x", "burstable/podUID/ID"],
        expect![[r#"
        system.slice/nginx.service
            in doubt
        deep/docker-ID.scope/x
            docker:ID in doubt
        burstable/podUID/ID
            ?:ID in doubt
    "#]],
    );
}

#[test]
fn ids_are_shortened_if_they_are_long() {
    let short = |id: &str| Container { id: id.into(), runtime: None }.short().to_owned();
    assert_eq!(short(ID), ID[..12]);
    assert_eq!(short("web"), "web");
    assert_eq!(short("abcdefabcdefabcdef"), "abcdefabcdefabcdef");
    assert_eq!(short("é"), "é");
}

#[test]
fn all_containers_of_a_path_are_told() {
    let place = Place::of_path(filled("/docker/ID/kubelet/kubepods/podUID/ID2/x").as_bytes());
    let ids: Vec<String> = place.containers().into_iter().map(|container| container.id).collect();
    assert_eq!(ids, [ID, ID2]);
    assert_eq!(Place::of_path(b"/a.slice/a-b.slice/c.service/d.slice").slices(), ["a.slice", "a-b.slice"]);
    assert!(Place::of_path(b"a.slice/c.service").slices().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn any_path_has_a_place(parts in proptest::collection::vec(prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..12),
        "[a-z:@_.-]{0,8}(lxc|docker|payload|\\\\x2d|libpod-|machine-|pod)?(\\.scope|\\.slice|\\.service)?"
            .prop_map(String::into_bytes),
        Just(ID.as_bytes().to_vec()),
        Just(b"docker".to_vec()),
        Just(b"kubepods".to_vec()),
        Just(b"lxc".to_vec()),
    ], 0..7), rooted in any::<bool>()) {
        let mut path = parts.join(&b'/');
        if rooted {
            path.insert(0, b'/');
        }
        let place = Place::of_path(&path);
        prop_assert_eq!(&place.cgroup, &path);
        prop_assert_eq!(place.in_doubt.is_none(), path.starts_with(b"/"));
        prop_assert_eq!(place.container.clone(), place.containers().pop());
        prop_assert_eq!(place.slice.clone(), place.slices().pop());
        prop_assert!(place.user_unit.is_none() || place.unit.is_some());
        if let Some(container) = &place.container {
            prop_assert!(!container.id.is_empty() && !container.short().is_empty());
        }
    }
}
