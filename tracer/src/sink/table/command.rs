//! A command line in the width that is left for it.

use super::text::Line;
use crate::{
    event::{Arg, ArgShape, Args, ExecEvent, Gap, Missing, Value},
    process::Attempt,
};

/// What was executed.
#[derive(Clone, Copy)]
pub(super) struct Called<'a> {
    filename: Value<'a, &'a [u8]>,
    exe: Value<'a, &'a [u8]>,
    argv: Value<'a, Args<'a>>,
    failed: bool,
}

impl<'a> From<&ExecEvent<'a>> for Called<'a> {
    fn from(event: &ExecEvent<'a>) -> Self {
        Self { filename: event.filename, exe: event.exe, argv: event.argv, failed: event.failed() }
    }
}

impl<'a> From<&Attempt<'a>> for Called<'a> {
    fn from(attempt: &Attempt<'a>) -> Self {
        Self { filename: attempt.filename, exe: attempt.exe, argv: attempt.argv, failed: attempt.failed() }
    }
}

/// Appends what was executed, as far as it fits into `width`; what does not is told.
///
/// The file comes first, in brackets, when the arguments do not show it.
pub(super) fn command<'a>(called: impl Into<Called<'a>>, width: usize, line: &mut Line) {
    let event = &called.into();
    let args = event.argv.shown();
    if let Some(file) = file(event, args) {
        line.plain("[");
        line.name(file, width);
        line.plain("] ");
    }
    match (args, event.argv.missing()) {
        (Some(args), _) if args.is_empty() && args.gaps().is_empty() => line.plain("(no arguments)"),
        (Some(args), _) => arguments(&args, width, line),
        (None, reason) => unknown(reason, line),
    }
    line.fit(width);
}

fn unknown(reason: Option<Missing<'_>>, line: &mut Line) {
    let reason = reason.map_or_else(String::new, |reason| reason.to_string());
    line.plain("(arguments: ");
    line.name(reason.as_bytes(), usize::MAX);
    line.plain(")");
}

/// The file, if it is not evident from the first argument.
fn file<'a>(event: &Called<'a>, args: Option<Args<'a>>) -> Option<&'a [u8]> {
    let file = match (event.filename, event.exe) {
        // A descriptor was executed: its path says more.
        (Value::Known([]), exe) => exe.shown()?,
        (filename, _) => filename.shown()?,
    };
    let first = args.and_then(|args| args.get(0));
    let first = first.map_or(&b""[..], |arg| arg.bytes);
    let evident = match event.failed {
        // Where it was looked for is the point.
        true => file == first,
        false => base(file) == base(first.strip_prefix(b"-").unwrap_or(first)),
    };
    (!evident).then_some(file)
}

fn base(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// A part of the line.
struct Token {
    /// From where to where it goes.
    start: usize,
    end: usize,
    /// Bytes of source before it.
    source: usize,
    what: What,
}

enum What {
    /// The argument of this index.
    Arg(usize),
    /// The gap of this index.
    Gap(usize),
}

fn arguments(args: &Args<'_>, width: usize, line: &mut Line) {
    let mut tokens: Vec<Token> = Vec::new();
    let mut gaps = args.gaps().iter().enumerate().peekable();
    for (index, arg) in args.iter().enumerate() {
        while let Some((gap, found)) = gaps.next_if(|(_, gap)| gap.at <= index) {
            token(line, &mut tokens, What::Gap(gap), |line| {
                line.mark(&gap_text(found));
            });
        }
        token(line, &mut tokens, What::Arg(index), |line| {
            argument(arg, width, line);
        });
        if line.width() > width {
            return overflow(args, &tokens, width, line);
        }
    }
    for (gap, found) in gaps {
        token(line, &mut tokens, What::Gap(gap), |line| {
            line.mark(&gap_text(found));
        });
    }
    if line.width() > width {
        overflow(args, &tokens, width, line);
    }
}

fn token(line: &mut Line, tokens: &mut Vec<Token>, what: What, write: impl FnOnce(&mut Line)) {
    if !tokens.is_empty() {
        line.plain(" ");
    }
    let (start, source) = (line.width(), line.source());
    write(line);
    tokens.push(Token { start, end: line.width(), source, what });
}

fn argument(arg: Arg<'_>, width: usize, line: &mut Line) {
    match arg.shape {
        ArgShape::Unread => line.mark("(unreadable)"),
        ArgShape::Tail | ArgShape::Middle => {
            line.mark("…");
            line.word(arg.bytes, width);
        }
        ArgShape::Whole | ArgShape::Head => line.word(arg.bytes, width),
    }
    if matches!(arg.shape, ArgShape::Head | ArgShape::Middle) {
        line.mark("…");
    }
}

/// What is absent between two arguments.
fn gap_text(gap: &Gap) -> String {
    let reason = gap.reason.name();
    match (gap.args, gap.bytes) {
        (Some(0), Some(bytes)) => format!("(+{bytes} bytes: {reason})"),
        (Some(args), _) => format!("(+{}: {reason})", plural(u64::from(args), "arg")),
        (None, Some(bytes)) => format!("(+{bytes} bytes: {reason})"),
        (None, None) => format!("(and more: {reason})"),
    }
}

/// Makes room for a note of what does not fit, and appends it.
fn overflow(args: &Args<'_>, tokens: &[Token], width: usize, line: &mut Line) {
    // The note takes room, and says how much it leaves: a wider note may leave less to note.
    let (mut room, mut note) = (width, String::new());
    for _ in 0..6 {
        note = hidden(args, tokens, line.prefix(room));
        let left = width.saturating_sub(note.chars().count());
        if left == room {
            break;
        }
        room = left;
    }
    line.cut_to(room.min(width.saturating_sub(note.chars().count())));
    line.mark(&note);
}

/// What is hidden when a line ends at this width, and shows these bytes of source.
fn hidden(args: &Args<'_>, tokens: &[Token], (width, source): (usize, usize)) -> String {
    let Some(cut) = tokens.iter().find(|token| token.end > width) else {
        return "…".into();
    };
    let gaps = args.gaps();
    let (mut bytes, next, gaps) = match cut.what {
        What::Gap(gap) => (0, gaps[gap].at, &gaps[gap..]),
        What::Arg(index) => {
            let gaps = &gaps[gaps.partition_point(|gap| gap.at <= index)..];
            let len = args.get(index).map_or(0, |arg| arg.bytes.len());
            match width > cut.start {
                true => (len.saturating_sub(source - cut.source), index + 1, gaps),
                false => (0, index, gaps),
            }
        }
    };
    let (mut count, mut more) = (0, "");
    for index in next..args.len() {
        match args.get(index) {
            Some(arg) if goes_on(args, index) => bytes += arg.bytes.len(),
            _ => count += 1,
        }
    }
    for gap in gaps {
        match (gap.args, gap.bytes) {
            (Some(args), _) if args > 0 => count += u64::from(args),
            (_, Some(absent)) => bytes += absent as usize,
            (_, None) => more = " or more",
        }
    }
    match (count, bytes) {
        (0, 0) if more.is_empty() => "…".into(),
        (0, bytes) if more.is_empty() => format!("… +{}", plural(bytes as u64, "byte")),
        (count, _) => format!("… +{}{more}", plural(count, "arg")),
    }
}

/// Whether an element belongs to the same argument as the one before it.
fn goes_on(args: &Args<'_>, index: usize) -> bool {
    let torn = |at: Option<usize>, shape: [ArgShape; 2]| {
        at.and_then(|at| args.get(at)).is_some_and(|arg| shape.contains(&arg.shape))
    };
    torn(Some(index), [ArgShape::Tail, ArgShape::Middle])
        && torn(index.checked_sub(1), [ArgShape::Head, ArgShape::Middle])
        && args.gaps().iter().any(|gap| gap.at == index && gap.args == Some(0))
}

fn plural(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}
