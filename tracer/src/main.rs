fn main() {
    let facts = tracer::host::HostFacts::read().unwrap();
    let hook = std::env::args().nth(1).and_then(|h| tracer_common::Hook::ALL.into_iter().find(|x| x.name() == h));
    let wishes = tracer::plan::Wishes { hook, buffer: 8 << 20, ..Default::default() };
    let plan = tracer::plan::exec(&wishes, &facts).unwrap();
    eprintln!("unavailable {:?}", plan.unavailable);
    let t = std::time::Instant::now();
    let started = match tracer::session::start(&plan, &[]) { Ok(s) => s, Err(e) => { eprintln!("{e}"); std::process::exit(3) } };
    eprintln!("{:?} {:?}", started, t.elapsed());
    let mut a = started.attached;
    if let Some(cmd) = std::env::args().nth(2) {
        std::process::Command::new("sh").arg("-c").arg(cmd).status().unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(100));
    a.detach();
    a.drain(100000, |r| {
        let e: tracer_common::Exec = unsafe { std::ptr::read_unaligned(r.as_ptr().cast()) };
        println!("{:?}\n  {:?}", e, String::from_utf8_lossy(&r[std::mem::size_of::<tracer_common::Exec>().min(r.len())..]));
    });
    println!("{:?}", a.counters());
}
