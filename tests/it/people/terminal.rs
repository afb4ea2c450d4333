//! What a person sees of a run on a real terminal: a bar that fits, whatever the width, the
//! language of the answers and what happens to the window meanwhile, and a clean screen behind it.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use dingmap::testing::sandbox::{Script, ScriptedAnswer};

use crate::support::process::wait_until;
use crate::support::pty::{PtyProcess, Streams, Transcript};
use crate::support::rows::staff_csv;
use crate::support::sandbox::{Sandbox, unlimited_script};
use crate::support::workdir::Workdir;

/// A run of sixty rows that takes three seconds and some.
fn three_second_run(api: &Sandbox, workdir: &Workdir, output: &Path) -> Command {
    let input = workdir.write_file("staff.csv", staff_csv(60));
    let mut command = api.resolve(&input, output);
    command.env("DINGMAP_RATE", "20");
    command
}

/// How often the bar was drawn: one of its lines has these words, and nothing else has.
fn count_bar_draws(seen: &Transcript) -> usize {
    String::from_utf8_lossy(&seen.bytes).matches(" of 60 rows").count()
}

#[track_caller]
fn assert_clean_screen(pty: &PtyProcess, seen: &Transcript) {
    assert!(
        seen.glitches.is_empty(),
        "{} faults, the first:\n{}",
        seen.glitches.len(),
        seen.glitches[0]
    );
    assert!(
        pty.bar_lines().is_none() && pty.is_cursor_restored(),
        "{}",
        pty.screen_rows().join("\n")
    );
}

#[test]
fn the_bar_fits_every_width() {
    let wide = "12 of 60 rows · 20.0 of 20 calls/s · about 3s left";
    let all = "found 12 · not_found 0 · invalid 0 · failed 0";
    let runs = [
        (20, "12 of 60 rows", "found 12"),
        (40, "12 of 60 rows · about 3s left", "found 12 · not_found 0 · invalid 0"),
        (80, wide, all),
        (200, wide, all),
    ]
    .map(|(columns, progress, counts)| {
        let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
        let command = three_second_run(&api, &workdir, &workdir.path("out.csv"));
        (
            columns,
            [progress, counts],
            PtyProcess::start(&command, columns, &Streams::All),
            api,
            workdir,
        )
    });
    // Of the same make, whatever the figures are by now.
    let words = |line: &str| line.replace(|c: char| c.is_ascii_digit() || c == '.', "");
    for (columns, expected, pty, ..) in &runs {
        let alike = |bar: &[String; 3]| expected.map(words) == [words(&bar[1]), words(&bar[2])];
        wait_until(&format!("the bar of {columns} columns"), || pty.bar_lines().filter(alike));
    }
    for (columns, _, mut pty, ..) in runs {
        let (status, seen) = pty.wait();
        assert_eq!(status, Some(0), "{columns}: {}", pty.screen_rows().join("\n"));
        assert_clean_screen(&pty, &seen);
        assert!(count_bar_draws(&seen) > 0, "{columns}");
    }
}

#[test]
fn resizing_keeps_messages_and_leaves_no_trace_of_the_bar() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let command = three_second_run(&api, &workdir, &workdir.path("out.csv"));
    let mut pty = PtyProcess::start(&command, 100, &Streams::All);
    wait_until("the bar", || pty.bar_lines());
    let messages = pty.screen_rows();
    for columns in [100, 40, 20, 120] {
        pty.resize(columns);
        let fits = |bar: &[String; 3]| bar[0].chars().count() == usize::from(columns.min(74) - 2);
        wait_until(&format!("a bar for {columns}"), || pty.bar_lines().filter(fits));
    }
    let (status, seen) = pty.wait();
    assert_eq!(status, Some(0), "{}", pty.screen_rows().join("\n"));
    assert_clean_screen(&pty, &seen);
    let rows = pty.screen_rows();
    // This terminal cuts off text beyond its edge, and so it was cut at twenty columns.
    let printed = messages.iter().take_while(|row| !row.starts_with(['━', '╸', '─']));
    for (before, after) in printed.zip(&rows) {
        assert_eq!(
            before.chars().take(20).collect::<String>().trim_end(),
            after,
            "{}",
            rows.join("\n")
        );
    }
    assert!(rows.iter().any(|row| row.starts_with("written to ")), "{}", rows.join("\n"));
}

#[test]
fn chinese_status_lines_are_cut_by_display_width() {
    let runs = [61, 62, 63].map(|columns| {
        // With it a line has fewer characters than the terminal has columns, and takes more of
        // them.
        let reason = "系统繁忙，请稍后再试。".to_owned();
        let token_turns = [ScriptedAnswer::Code { code: -1, msg: reason }].into();
        let (api, workdir) = (
            Sandbox::new(Script { token_answers: token_turns, ..unlimited_script() }),
            Workdir::new(),
        );
        let mut command = three_second_run(&api, &workdir, &workdir.path("out.csv"));
        command
            .env("DINGMAP_RETRY_MIN", "1s")
            .env("DINGMAP_RETRY_MAX", "2s")
            .env("DINGMAP_RATE", "60");
        (PtyProcess::start(&command, columns, &Streams::All), api, workdir)
    });
    for (pty, ..) in &runs {
        pty.wait_for_text("no token yet");
    }
    for (mut pty, ..) in runs {
        let (status, seen) = pty.wait();
        assert_eq!(status, Some(0), "{}", pty.screen_rows().join("\n"));
        assert_clean_screen(&pty, &seen);
    }
}

#[test]
fn ctrl_c_during_a_bar_keeps_messages_and_restores_the_cursor() {
    // At 45 the last line would fill the terminal, and what the terminal puts behind it would begin
    // another line.
    for columns in [45, 80] {
        let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
        let command = three_second_run(&api, &workdir, &workdir.path("out.csv"));
        let mut pty = PtyProcess::start(&command, columns, &Streams::All);
        let found_ten =
            |bar: &[String; 3]| bar[2].split(' ').nth(1).is_some_and(|found| found.len() == 2);
        wait_until("a bar with ten found", || pty.bar_lines().filter(found_ten));
        pty.send_keys("\x03");
        let (status, seen) = pty.wait();
        assert_eq!(status, Some(130), "{}", pty.screen_rows().join("\n"));
        assert!(String::from_utf8_lossy(&seen.bytes).contains("^C"), "the terminal shows the key");
        assert_clean_screen(&pty, &seen);
        pty.wait_for_text("stopping: ");
        pty.wait_for_text("dingmap: interrupted");
    }
}

#[test]
fn a_hangup_ends_the_run_and_keeps_its_answers() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let command = three_second_run(&api, &workdir, &workdir.path("out.csv"));
    let mut pty = PtyProcess::start(&command, 80, &Streams::All);
    wait_until("some answers", || (api.call_log().calls().len() > 10).then_some(()));
    pty.hang_up();
    let (status, _) = pty.wait();
    assert_eq!((status, workdir.file_names()), (Some(129), vec!["staff.csv".to_owned()]));
    let asked = api.call_log().calls().len();
    let mut command = three_second_run(&api, &workdir, &workdir.path("out.csv"));
    assert_eq!(command.env("DINGMAP_RATE", "unlimited").output().unwrap().status.code(), Some(0));
    assert_eq!(api.call_log().calls().len(), 60, "{asked} had been asked");
}

#[test]
fn colors_and_bars_respect_no_color_and_term() {
    const COLOUR: &str = "\x1b[36m";
    for (variable, value, bar, coloured) in [
        ("NO_COLOR", None, true, true),
        ("NO_COLOR", Some(""), true, true),
        ("NO_COLOR", Some("1"), true, false),
        ("TERM", Some("dumb"), false, false),
        ("TERM", None, false, false),
    ] {
        let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
        let mut command = three_second_run(&api, &workdir, &workdir.path("out.csv"));
        // A token that was fetched is logged.
        command.env("DINGMAP_RATE", "60").arg("-v");
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
        let mut pty = PtyProcess::start(&command, 80, &Streams::All);
        let (status, seen) = pty.wait();
        let (what, text) = (format!("{variable}={value:?}"), String::from_utf8_lossy(&seen.bytes));
        assert_eq!(status, Some(0), "{what}: {text}");
        assert_eq!(count_bar_draws(&seen) > 0, bar, "{what}: {text}");
        assert_eq!(text.contains(COLOUR), coloured, "{what}: {text}");
        // What a log line's level is coloured with.
        assert_eq!(text.contains("\x1b[32m"), coloured, "{what}: {text}");
        assert!(bar || !text.contains('\x1b'), "{what}: {text}");
        assert_clean_screen(&pty, &seen);
    }
}

#[test]
fn rows_and_messages_go_to_their_streams_whichever_is_a_terminal() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let standard = Path::new("-");
    let expected = "13900000000,u00000000,";

    // The rows in a file, and the bar on the terminal.
    let command = three_second_run(&api, &workdir, standard);
    let rows = File::create(workdir.path("rows.csv")).unwrap();
    let mut pty = PtyProcess::start_with(&command, 80, &Streams::AllButStdout, |command| {
        command.stdout(rows);
    });
    let (status, seen) = pty.wait();
    assert_eq!(
        (status, count_bar_draws(&seen) > 0),
        (Some(0), true),
        "{}",
        pty.screen_rows().join("\n")
    );
    assert_clean_screen(&pty, &seen);
    assert!(!String::from_utf8_lossy(&seen.bytes).contains(expected));
    assert!(std::fs::read_to_string(workdir.path("rows.csv")).unwrap().contains(expected));

    // The rows on the terminal, where nothing steers it, and the messages in a file.
    let mut command = three_second_run(&api, &workdir, standard);
    command.env("DINGMAP_RATE", "60");
    let messages = File::create(workdir.path("messages")).unwrap();
    let mut pty = PtyProcess::start_with(&command, 80, &Streams::AllButStderr, |command| {
        command.stderr(messages);
    });
    let (status, seen) = pty.wait();
    let text = String::from_utf8_lossy(&seen.bytes);
    assert_eq!(
        (status, text.lines().count(), text.contains('\x1b')),
        (Some(0), 61, false),
        "{text}"
    );
    let messages = std::fs::read_to_string(workdir.path("messages")).unwrap();
    assert!(messages.contains("60 rows in ") && !messages.contains('\x1b'), "{messages}");

    // Both on the terminal: no bar goes through the rows.
    let mut command = three_second_run(&api, &workdir, standard);
    command.env("DINGMAP_RATE", "30").args(["--progress", "bar"]);
    let mut pty = PtyProcess::start(&command, 80, &Streams::All);
    let (status, seen) = pty.wait();
    let text = String::from_utf8_lossy(&seen.bytes);
    assert_eq!((status, count_bar_draws(&seen)), (Some(0), 0), "{text}");
    assert!(text.contains(expected) && text.contains("60 rows in "), "{text}");
}

#[test]
fn log_lines_are_printed_intact_above_the_bar() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let mut command = three_second_run(&api, &workdir, &workdir.path("out.csv"));
    command.args(["-vv", "--log-format", "json"]);
    let mut pty = PtyProcess::start(&command, 200, &Streams::All);
    wait_until("a line above the bar", || {
        let rows = pty.screen_rows();
        let bar = rows.iter().position(|row| row.contains('%'))?;
        let above =
            rows[..bar].iter().filter(|row| row.starts_with('{') && row.ends_with('}')).count();
        (above >= 3).then_some(())
    });
    let (status, seen) = pty.wait();
    assert_eq!(status, Some(0), "{}", pty.screen_rows().join("\n"));
    assert_clean_screen(&pty, &seen);
}
