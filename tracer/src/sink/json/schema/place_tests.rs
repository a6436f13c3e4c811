//! The fields of a place, known and not known.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use expect_test::{Expect, expect};

use super::{Exec, Line, tests::check_line};
use crate::event::simulate::SimulatedExec;
use crate::event::{Assembler, Event, WallClock};
use crate::place::{Located, Place};
use crate::sink::{Around, json};

fn render(place: Option<Located<'_>>) -> (Exec, String) {
    let records = SimulatedExec::example().records();
    let mut assembler = Assembler::default();
    let event = assembler.push(&records[0]).unwrap().and_then(Event::exec).unwrap();
    let mut line = Vec::new();
    json::exec(&event, Around { place, ..Around::default() }, WallClock::default(), &mut line);
    match check_line(&line) {
        Line::Exec(exec) => (*exec, String::from_utf8(line).unwrap()),
        other => panic!("{other:?}"),
    }
}

/// What a line says after what every exec's says.
#[expect(clippy::needless_pass_by_value, reason = "what expect! gives is a value")]
fn check(place: Located<'_>, expected: Expect) {
    let (_, line) = render(Some(place));
    expected.assert_eq(line.split_once(r#""kernel_started":false,"#).unwrap().1);
}

#[test]
fn a_place_is_fields() {
    let of = |path: &[u8]| Place::of_path(path);
    check(
        Located::At(&of(b"/system.slice/nginx.service")),
        expect![[r#"
        "cgroup":"/system.slice/nginx.service","container":null,"unit":"nginx.service","user_unit":null,"slice":"system.slice","pod_uid":null}
    "#]],
    );
    let pod = "/kubepods/burstable/pod2c48a299-e1f2-4c55-8b5d-0a1b2c3d4e5f/";
    let id = "3c5f0e8a9b7d64e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f809";
    check(
        Located::At(&of(format!("{pod}{id}").as_bytes())),
        expect![[r#"
        "cgroup":"/kubepods/burstable/pod2c48a299-e1f2-4c55-8b5d-0a1b2c3d4e5f/3c5f0e8a9b7d64e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f809","container":{"id":"3c5f0e8a9b7d64e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f809","runtime":null},"unit":null,"user_unit":null,"slice":null,"pod_uid":"2c48a299-e1f2-4c55-8b5d-0a1b2c3d4e5f"}
    "#]],
    );
    check(
        Located::At(&of(b"/user.slice/user-1000.slice/user@1000.service/app.slice/\x5cx.service")),
        expect![[r#"
            "cgroup":"/user.slice/user-1000.slice/user@1000.service/app.slice/\\x.service","container":null,"unit":"user@1000.service","user_unit":"\\x.service","slice":"user-1000.slice","pod_uid":null}
        "#]],
    );
    check(
        Located::At(&of(b"/lxc.payload.w\xffeb\"/x")),
        expect![[r#"
        "cgroup":"/lxc.payload.w�eb\"/x","cgroup_raw":"L2x4Yy5wYXlsb2FkLnf/ZWIiL3g=","container":{"id":"w�eb\"","runtime":"lxc"},"unit":null,"user_unit":null,"slice":null,"pod_uid":null}
    "#]],
    );
    check(
        Located::At(&of(b"below/lxc.payload.web")),
        expect![[r#"
        "cgroup":"below/lxc.payload.web","container":{"id":"web","runtime":"lxc"},"unit":null,"user_unit":null,"slice":null,"pod_uid":null,"missing":{"unit":"the path of its control group is too long: its beginning is missing","user_unit":"the path of its control group is too long: its beginning is missing","slice":"the path of its control group is too long: its beginning is missing","pod_uid":"the path of its control group is too long: its beginning is missing"},"cut":{"cgroup":"the path is too long: its beginning is missing"}}
    "#]],
    );
    check(
        Located::Unknown("the record was \"lost\""),
        expect![[r#"
        "cgroup":null,"container":null,"unit":null,"user_unit":null,"slice":null,"pod_uid":null,"missing":{"cgroup":"the record was \"lost\"","container":"the record was \"lost\"","unit":"the record was \"lost\"","user_unit":"the record was \"lost\"","slice":"the record was \"lost\"","pod_uid":"the record was \"lost\""}}
    "#]],
    );
}

#[test]
fn nobody_asked() {
    let (exec, line) = render(None);
    assert_eq!(exec.place, super::place::Place::default());
    assert!(!line.contains("container"), "{line}");
}
