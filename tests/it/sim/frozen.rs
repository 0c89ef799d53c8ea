//! Worlds that broke a promise once, kept as they were drawn: a seed means another world as soon as the drawing changes.

use super::disk::{Crash, Fault};
use super::exchange::Mood;
use super::life::{End, Life};
use super::machine::Freeze;
use super::plan::Plan;
use super::world;
use std::time::Duration;

/// A manifest's sync fails, a power cut takes the manifest, and the clock was set several times: segments are listed
/// with the wrong epoch.
#[test]
fn a_manifest_that_a_power_cut_took_after_steps() {
    keeps_every_promise(&Plan {
        seed: 12_437,
        lives: vec![
            Life {
                length: ms(18_903),
                mood: Mood::Wild,
                faults: [(295, Fault::Crash(Crash::Kill))].into(),
                full: Some((ms(12_473), ms(19_493), 3_231)),
                pause: ms(2_230),
                jump: 75_596_174_693,
                ..Life::quiet(0)
            },
            Life {
                length: ms(27_794),
                mood: Mood::Wild,
                end: End::Crash(Crash::PowerCut),
                pause: ms(4_007),
                steps: [(ms(15_920), 61_212_527), (ms(20_890), 1_559_798), (ms(26_278), 26_324_981)].into(),
                ..Life::quiet(0)
            },
            Life {
                length: ms(52_373),
                mood: Mood::Wild,
                faults: [(327, Fault::Fail(5))].into(),
                pause: ms(9_243),
                jump: -69_168_458_209,
                steps: [
                    (ms(11_417), -78_069_871),
                    (ms(12_967), -9_233_341_925),
                    (ms(17_527), 9_233_341_925),
                    (ms(19_861), 86_273_057),
                ]
                .into(),
                ..Life::quiet(0)
            },
            Life {
                length: ms(38_355),
                mood: Mood::Wild,
                pause: ms(3_444),
                jump: 71_645_973_759,
                steps: [(ms(3_840), 38_003_258_009), (ms(5_639), -38_003_258_009), (ms(24_965), 4_583_390_365)].into(),
                ..Life::quiet(0)
            },
            Life {
                length: ms(31_581),
                mood: Mood::Wild,
                end: End::Crash(Crash::PowerCut),
                faults: [
                    (4, Fault::Stall(ms(1_625))),
                    (194, Fault::Short),
                    (294, Fault::Fail(122)),
                    (562, Fault::Short),
                ]
                .into(),
                full: Some((ms(27_576), ms(13_476), 9_440)),
                pause: ms(15_056),
                ..Life::quiet(0)
            },
            Life::quiet(45),
            Life::quiet(45),
        ],
    });
}

/// Objects are missing and in no gap after a full disk, a step of the clock and a power cut.
#[test]
fn a_full_disk_a_step_and_a_power_cut() {
    keeps_every_promise(&Plan {
        seed: 42_254,
        lives: vec![
            Life {
                length: ms(47_154),
                mood: Mood::Wild,
                faults: [(632, Fault::Crash(Crash::Kill))].into(),
                pause: ms(8_384),
                ..Life::quiet(0)
            },
            Life {
                length: ms(42_920),
                mood: Mood::Wild,
                end: End::Crash(Crash::PowerCut),
                faults: [(712, Fault::Crash(Crash::PowerCut))].into(),
                full: Some((ms(1_739), ms(15_694), 12_089)),
                pause: ms(11_750),
                jump: 92_836_908_628,
                steps: [(ms(7_842), -81_555_964_772), (ms(34_340), 73_823_671_190), (ms(41_906), -73_823_671_190)]
                    .into(),
                ..Life::quiet(0)
            },
            Life {
                length: ms(20_635),
                mood: Mood::Wild,
                faults: [(670, Fault::Crash(Crash::Kill))].into(),
                full: Some((ms(5_777), ms(2_921), 12_410)),
                pause: ms(6_783),
                jump: 26_280_497,
                ..Life::quiet(0)
            },
            Life {
                length: ms(27_141),
                mood: Mood::Wild,
                faults: [(292, Fault::Crash(Crash::Kill))].into(),
                full: Some((ms(14_059), ms(4_669), 1_239)),
                pause: ms(2_744),
                jump: 90_888_803_277,
                ..Life::quiet(0)
            },
            Life {
                length: ms(51_425),
                mood: Mood::Wild,
                faults: [(414, Fault::Fail(5)), (562, Fault::Stall(ms(1_695)))].into(),
                pause: ms(19_972),
                ..Life::quiet(0)
            },
            Life::quiet(45),
            Life::quiet(45),
        ],
    });
}

/// The same kind as the one before, with the full disk in an earlier life.
#[test]
fn a_full_disk_before_a_step_and_a_power_cut() {
    keeps_every_promise(&Plan {
        seed: 43_622,
        lives: vec![
            Life {
                length: ms(43_369),
                mood: Mood::Wild,
                faults: [(531, Fault::Crash(Crash::Kill))].into(),
                pause: ms(1_767),
                jump: 23_016_659,
                ..Life::quiet(0)
            },
            Life {
                length: ms(49_425),
                mood: Mood::Wild,
                end: End::Crash(Crash::PowerCut),
                faults: [(405, Fault::Stall(ms(3_450))), (648, Fault::Crash(Crash::PowerCut))].into(),
                full: Some((ms(3_362), ms(16_488), 17_284)),
                pause: ms(10_091),
                jump: -52_033_317_567,
                steps: [(ms(11_225), 4_900_843)].into(),
                ..Life::quiet(0)
            },
            Life {
                length: ms(30_784),
                mood: Mood::Wild,
                end: End::Crash(Crash::PowerCut),
                faults: [
                    (22, Fault::Stall(ms(836))),
                    (32, Fault::Crash(Crash::PowerCut)),
                    (347, Fault::Stall(ms(1_429))),
                    (547, Fault::Short),
                ]
                .into(),
                pause: ms(12_979),
                ..Life::quiet(0)
            },
            Life {
                length: ms(7_650),
                mood: Mood::Wild,
                end: End::Crash(Crash::PowerCut),
                pause: ms(10_114),
                ..Life::quiet(0)
            },
            Life {
                length: ms(35_197),
                mood: Mood::Wild,
                end: End::Crash(Crash::PowerCut),
                pause: ms(11_852),
                jump: 92_946_986_531,
                steps: [(ms(19_592), 52_486_638)].into(),
                ..Life::quiet(0)
            },
            Life::quiet(45),
            Life::quiet(45),
        ],
    });
}

/// A sync finds no room and later succeeds, what it was to cover is held against the exchange while it can be read, and a
/// power cut takes it.
#[test]
fn healing_believed_what_only_memory_held() {
    let freeze = |after, length, is_suspended| Freeze { after: ms(after), length: ms(length), is_suspended };
    keeps_every_promise(&Plan {
        seed: 210,
        lives: vec![
            Life {
                length: ms(12_217),
                mood: Mood::Wild,
                faults: [(242, Fault::Fail(4)), (720, Fault::Crash(Crash::Kill))].into(),
                pause: ms(7_099),
                freezes: vec![freeze(8_257, 253_818, true)],
                heals: true,
                ..Life::quiet(0)
            },
            Life {
                length: ms(46_219),
                mood: Mood::Wild,
                end: End::Crash(Crash::PowerCut),
                faults: [(9, Fault::Fail(27)), (201, Fault::Fail(4)), (512, Fault::NoRoom)].into(),
                pause: ms(10_008),
                jump: 83_771_118,
                freezes: vec![freeze(12_620, 13_951, false)],
                heals: true,
                ..Life::quiet(0)
            },
            Life {
                length: ms(20_941),
                mood: Mood::Wild,
                end: End::Crash(Crash::Kill),
                pause: ms(10_742),
                jump: 14_428_410,
                heals: true,
                ..Life::quiet(0)
            },
            Life::healing(),
        ],
    });
}

fn keeps_every_promise(plan: &Plan) {
    assert_eq!(world::run(plan).violations, [""; 0]);
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
