//! The charts of the HTML report: calls over time, and shares as bars in table rows. Texts are
//! outside the drawings, so that they are not stretched with them.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::{SignedDuration, Zoned};
use maud::{Markup, html};
use tr::tr;

use crate::app::format::group_thousands;
use crate::app::report::text::format_elapsed;
use crate::app::report::timeline::{Bucket, Timeline};
use crate::domain::float::{round_to_tenth, to_f64};

/// The size of the drawing in its own units.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 200.0;
/// This many fit on a phone.
const MAX_TIME_LABELS: f64 = 4.0;
/// A share below this would be invisible.
const MIN_VISIBLE_SHARE: f64 = 0.004;
/// The distances between time labels up to a day, in seconds.
const TIME_STEPS: [u32; 17] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200];

/// A bucket as it is drawn.
struct PlottedBucket {
    start_secs: f64,
    end_secs: f64,
    calls_per_sec: f64,
    retries_per_sec: f64,
    bucket: Bucket,
}

/// The chart of calls over time and its table; `None` if the run made no calls.
#[must_use]
pub(crate) fn render_calls(timeline: &Timeline) -> Option<Markup> {
    let started = timeline.started.as_ref()?;
    let columns: Vec<_> =
        timeline.intervals().into_iter().filter_map(PlottedBucket::from_bucket).collect();
    let end = columns.last()?.end_secs;
    let limits =
        || columns.iter().map(|column| column.bucket.target_rate).filter(|limit| limit.is_finite());
    let peak = columns.iter().map(|column| column.calls_per_sec).fold(0.0, f64::max);
    let (step, top) = axis_scale(limits().fold(peak, f64::max));
    let x = |seconds: f64| seconds / end * WIDTH;
    let y = |speed: f64| HEIGHT - speed / top * HEIGHT;
    let all: u64 = columns.iter().map(|column| column.bucket.calls).sum();
    let paused: Duration = columns.iter().map(|column| column.bucket.paused).sum();
    let mean = to_f64(all) / end.max(1.0);
    let limited = limits().next().is_some();
    let described = tr!(
        "{mean} calls/s on average, {peak} at most; paused by throttling for {paused} in total",
        mean = format_decimal(mean),
        peak = format_decimal(peak),
        paused = format_elapsed(paused)
    );
    Some(html! {
        figure {
            div.plot {
                @for tick in axis_ticks(step, top) {
                    span.y aria-hidden="true" style={ "bottom:" (css_percent(tick / top)) } {
                        (format_decimal(tick))
                    }
                }
                svg
                    role="img" aria-labelledby="calls-title calls-desc"
                    viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none"
                {
                    title #calls-title { (tr!("Calls per second over time")) }
                    desc #calls-desc { (described) }
                    @for tick in axis_ticks(step, top) {
                        line.grid x1="0" x2=(WIDTH) y1=(y(tick)) y2=(y(tick)) {}
                    }
                    @for (from, until) in pause_ranges(&columns) {
                        rect.held
                            x=(round_to_tenth(x(from))) y="0"
                            width=(round_to_tenth((x(until) - x(from)).max(1.0))) height=(HEIGHT)
                            {}
                    }
                    path.calls d=(area_path(&columns, |column| column.calls_per_sec, x, y)) {}
                    path.repeats d=(area_path(&columns, |column| column.retries_per_sec, x, y)) {}
                    path.limit d=(rate_path(&columns, x, y)) {}
                }
                @for (seconds, label) in time_labels(started, end) {
                    span.x aria-hidden="true" style={ "left:" (css_percent(seconds / end)) } {
                        (label)
                    }
                }
            }
            figcaption {
                ul.legend {
                    li.calls { (tr!("calls per second")) }
                    @if columns.iter().any(|column| column.bucket.retries > 0) {
                        li.repeats { (tr!("of these, retries")) }
                    }
                    @if limited { li.limit { (tr!("target rate")) } }
                    @if !paused.is_zero() { li.held { (tr!("paused by throttling")) } }
                }
                p.note { (described) }
            }
            (render_table(started, &columns))
        }
    })
}

fn render_table(started: &Zoned, columns: &[PlottedBucket]) -> Markup {
    let date = date_prefix(started, columns.last().map_or(0.0, |column| column.end_secs));
    let time_format = format!("{date}%H:%M:%S");
    let limit =
        |limit: f64| if limit.is_finite() { format_decimal(limit) } else { "–".to_owned() };
    html! {
        details {
            summary { (tr!("Show as a table")) }
            table.numbers {
                thead { tr {
                    th scope="col" { (tr!("from")) }
                    th scope="col" { (tr!("calls")) }
                    th scope="col" { (tr!("retries")) }
                    th scope="col" { (tr!("calls/s")) }
                    th scope="col" { (tr!("rate")) }
                    th scope="col" { (tr!("paused")) }
                } }
                tbody {
                    @for column in columns {
                        tr {
                            th scope="row" {
                                (format_time(started, column.start_secs, &time_format))
                            }
                            td { (group_thousands(column.bucket.calls)) }
                            td { (group_thousands(column.bucket.retries)) }
                            td { (format_decimal(column.calls_per_sec)) }
                            td { (limit(column.bucket.target_rate)) }
                            td { (format_elapsed(column.bucket.paused)) }
                        }
                    }
                }
            }
        }
    }
}

/// A bar of this share of its row. `kind` is its CSS class.
#[must_use]
pub(crate) fn render_bar(share: f64, kind: &str) -> Markup {
    let width = if share > 0.0 { share.max(MIN_VISIBLE_SHARE) } else { 0.0 };
    html! {
        svg
            class={ "bar " (kind) } viewBox="0 0 100 1" preserveAspectRatio="none"
            aria-hidden="true"
        {
            rect.track width="100" height="1" {}
            rect width=(round_to_tenth(width * 100.0)) height="1" {}
        }
    }
}

/// A stacked bar. `parts` are the CSS classes, which are also the names, and their counts.
#[must_use]
pub(crate) fn render_stacked_bar(id: &str, title: &str, parts: &[(&str, u64)]) -> Markup {
    let all = to_f64(parts.iter().map(|(_, count)| count).sum());
    let parts: Vec<_> = parts.iter().filter(|(_, count)| *count > 0).collect();
    let width = |count: u64| (to_f64(count) / all).max(MIN_VISIBLE_SHARE);
    let whole: f64 = parts.iter().map(|(_, count)| width(*count)).sum();
    let described: Vec<_> =
        parts.iter().map(|(kind, count)| format!("{kind} {}", group_thousands(*count))).collect();
    let starts = parts.iter().scan(0.0, |start, (_, count)| {
        let from = *start;
        *start += width(*count) / whole * 100.0;
        Some(from)
    });
    html! {
        svg.strip
            role="img" aria-labelledby={ (id) "-title " (id) "-desc" }
            viewBox="0 0 100 1" preserveAspectRatio="none"
        {
            title id={ (id) "-title" } { (title) }
            desc id={ (id) "-desc" } { (described.join(", ")) }
            @for (from, (kind, count)) in starts.zip(&parts) {
                rect
                    class=(kind) x=(round_to_tenth(from))
                    width=(round_to_tenth(width(*count) / whole * 100.0)) height="1"
                    {}
            }
        }
    }
}

impl PlottedBucket {
    fn from_bucket((from, until, bucket): (f64, f64, Bucket)) -> Option<Self> {
        // A run shorter than a second made its calls within one second: a rate is per second.
        let seconds = if from == 0.0 { until.max(1.0) } else { until - from };
        let speed = |calls| to_f64(calls) / seconds;
        (until > from).then(|| Self {
            start_secs: from,
            end_secs: until,
            calls_per_sec: speed(bucket.calls),
            retries_per_sec: speed(bucket.retries),
            bucket,
        })
    }
}

/// A step curve, filled down to the axis.
fn area_path(
    columns: &[PlottedBucket],
    of: impl Fn(&PlottedBucket) -> f64,
    x: impl Fn(f64) -> f64,
    y: impl Fn(f64) -> f64,
) -> String {
    let mut path = format!("M0 {HEIGHT}");
    for column in columns {
        // Writing to a string cannot fail.
        let _ = write!(
            path,
            "V{}H{}",
            round_to_tenth(y(of(column))),
            round_to_tenth(x(column.end_secs))
        );
    }
    path + &format!("V{HEIGHT}Z")
}

/// The curve of the target rate, interrupted where there is no limit.
fn rate_path(columns: &[PlottedBucket], x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let (mut path, mut plotted) = (String::new(), false);
    for PlottedBucket { start_secs: from, end_secs: until, bucket, .. } in columns {
        let has_limit = bucket.target_rate.is_finite();
        // Writing to a string cannot fail.
        let _ = match (has_limit, plotted) {
            (false, _) => Ok(()),
            (true, true) => write!(
                path,
                "V{}H{}",
                round_to_tenth(y(bucket.target_rate)),
                round_to_tenth(x(*until))
            ),
            (true, false) => {
                write!(
                    path,
                    "M{} {}H{}",
                    round_to_tenth(x(*from)),
                    round_to_tenth(y(bucket.target_rate)),
                    round_to_tenth(x(*until))
                )
            }
        };
        plotted = has_limit;
    }
    path
}

/// The paused ranges, with neighbors merged. A bucket records only how long it was paused. That
/// part is drawn at the side of the next paused bucket, otherwise at the start of the bucket.
fn pause_ranges(columns: &[PlottedBucket]) -> Vec<(f64, f64)> {
    let mut ranges: Vec<(f64, f64)> = Vec::new();
    for (index, column) in
        columns.iter().enumerate().filter(|(_, column)| !column.bucket.paused.is_zero())
    {
        let paused = column.bucket.paused.as_secs_f64().min(column.end_secs - column.start_secs);
        let continues = columns.get(index + 1).is_some_and(|next| !next.bucket.paused.is_zero());
        // Times are sums of fractions.
        let near = |until: f64| column.start_secs - until < 1e-6;
        match ranges.last_mut() {
            Some((_, until)) if near(*until) => *until = column.start_secs + paused,
            _ if continues => ranges.push((column.end_secs - paused, column.end_secs)),
            _ => ranges.push((column.start_secs, column.start_secs + paused)),
        }
    }
    ranges
}

/// The distance between ticks of an axis up to `most`, and the end of the axis.
fn axis_scale(most: f64) -> (f64, f64) {
    let most = if most > 0.0 { most } else { 1.0 };
    let rough = most / 4.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 2.5, 5.0, 10.0].map(|n| n * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    // A line at the very top would be cut in half.
    (step, (most / step + 0.05).ceil() * step)
}

fn axis_ticks(step: f64, top: f64) -> impl Iterator<Item = f64> {
    (0..).map(move |n| f64::from(n) * step).take_while(move |tick| *tick < top * 1.001)
}

/// Round clock times within the run: seconds since its start, and the label.
fn time_labels(started: &Zoned, end: f64) -> Vec<(f64, String)> {
    let day = 86_400.0;
    let step = TIME_STEPS.map(f64::from).into_iter().find(|step| end / step <= MAX_TIME_LABELS);
    let step = step.unwrap_or_else(|| (end / MAX_TIME_LABELS / day).ceil() * day);
    let format =
        date_prefix(started, end).to_owned() + if step < 60.0 { "%H:%M:%S" } else { "%H:%M" };
    let time = started.time();
    let since = |count: i8, unit: f64| f64::from(count) * unit;
    let midnight =
        since(time.hour(), 3600.0) + since(time.minute(), 60.0) + since(time.second(), 1.0);
    let midnight = midnight + f64::from(time.subsec_nanosecond()) / 1e9;
    let first = (step - midnight % step) % step;
    (0_u32..8)
        .map(|n| first + f64::from(n) * step)
        // A label at the right edge would leave the page.
        .take_while(|seconds| *seconds <= end * 0.94)
        .map(|seconds| (seconds, format_time(started, seconds + 0.001, &format)))
        .collect()
}

/// The date before each time, if the run has more than one.
fn date_prefix(started: &Zoned, end: f64) -> &'static str {
    let ended = started.saturating_add(SignedDuration::from_secs_f64(end));
    if ended.date() == started.date() { "" } else { "%m-%d " }
}

fn format_time(started: &Zoned, after: f64, format: &str) -> String {
    started.saturating_add(SignedDuration::from_secs_f64(after)).strftime(format).to_string()
}

/// With as many decimals as are significant.
fn format_decimal(number: f64) -> String {
    match number {
        ..1.0 => ((number * 1000.0).round() / 1000.0).to_string(),
        ..100.0 => round_to_tenth(number).to_string(),
        _ => format_grouped(number),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a speed above a hundred"
)]
fn format_grouped(number: f64) -> String {
    group_thousands(number.round() as u64)
}

/// A percentage for CSS.
fn css_percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_ticks_that_cover_the_data() {
        for (most, marks) in [
            (20.0, vec![0.0, 5.0, 10.0, 15.0, 20.0, 25.0]),
            (0.5, vec![0.0, 0.2, 0.4, 0.6]),
            (0.0, vec![0.0, 0.25, 0.5, 0.75, 1.0, 1.25]),
            (0.02, vec![0.0, 0.005, 0.01, 0.015, 0.02, 0.025]),
            (4994.0, vec![0.0, 2000.0, 4000.0, 6000.0]),
        ] {
            let (step, top) = axis_scale(most);
            let plotted: Vec<_> =
                axis_ticks(step, top).map(|tick| (tick * 1000.0).round() / 1000.0).collect();
            assert_eq!(plotted, marks, "{most}");
            assert!(top > most);
        }
    }

    #[test]
    fn the_shaded_area_equals_the_paused_time() {
        let plotted = |paused: &[f64]| {
            let bucket = |paused| Bucket {
                calls: 0,
                retries: 0,
                paused: Duration::from_secs_f64(paused),
                target_rate: 20.0,
            };
            let columns = paused.iter().zip(0_u32..).map(|(paused, place)| {
                PlottedBucket::from_bucket((
                    f64::from(place),
                    f64::from(place + 1),
                    bucket(*paused),
                ))
                .unwrap()
            });
            pause_ranges(&columns.collect::<Vec<_>>())
        };
        assert_eq!(plotted(&[0.0, 0.5, 1.0, 0.25, 0.0, 0.125]), [(1.5, 3.25), (5.0, 5.125)]);
        // Two separate pauses in neighboring buckets.
        assert_eq!(plotted(&[0.5, 0.5, 0.5]), [(0.5, 1.5), (2.0, 2.5)]);
        let all: f64 = plotted(&[0.5; 12]).iter().map(|(from, until)| until - from).sum();
        assert!((all - 6.0).abs() < 1e-9, "{all}");
    }

    #[test]
    fn time_ticks_fall_on_round_clock_times() {
        let started: Zoned = "2026-11-23T14:03:27.5+08:00[+08:00]".parse().unwrap();
        let labels = |end| {
            time_labels(&started, end).into_iter().map(|(_, label)| label).collect::<Vec<_>>()
        };
        assert_eq!(labels(10.0), ["14:03:30", "14:03:35"]);
        assert_eq!(labels(4.0 * 3600.0), ["15:00", "16:00", "17:00"]);
        assert_eq!(labels(36.0 * 3600.0), ["11-24 00:00", "11-24 12:00"]);
        assert_eq!(labels(20.0 * 86_400.0), ["11-28 00:00", "12-03 00:00", "12-08 00:00"]);
        let (seconds, _) = time_labels(&started, 10.0)[0];
        assert!((seconds - 2.5).abs() < 1e-9, "{seconds}");
    }
}
