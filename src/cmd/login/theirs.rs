//! What is theirs who are signed in, in lines for people.

use std::fmt::Write as _;

use usher_client::login::{Mine, MyDevice, MyLicense};

/// A line for each License, and one for each device.
pub(super) fn told(mine: &Mine) -> String {
    let mut text = String::new();
    for license in &mine.licenses {
        // Writing to a string goes well.
        let _ = writeln!(text, "{}: {}", called(license), stands(license));
        for device in &license.devices {
            let _ = writeln!(
                text,
                "  {}, heard of at {} (activation {})",
                name(device),
                device.heard_at,
                device.activation
            );
        }
    }
    if mine.has_more {
        text.push_str("There is more than is told here.\n");
    }
    text
}

fn called(license: &MyLicense) -> String {
    match &license.product {
        Some(product) => format!("{} ({product})", license.license),
        None => license.license.clone(),
    }
}

fn stands(license: &MyLicense) -> String {
    let resting = match license.state.as_str() {
        "suspended" => ", and the license is suspended",
        "expired" => ", and the license has ended",
        "not-yet-valid" => ", and the license is not in force yet",
        _ => "",
    };
    match (license.place.as_str(), license.position) {
        ("waiting", Some(position)) => format!("you wait for a seat, at place {position}{resting}"),
        ("waiting", None) => format!("you wait for a seat{resting}"),
        ("holder-changed", _) => "the seat is somebody's who had your address before you".to_owned(),
        (place, _) => {
            let rests = if place == "rests" { ", which rests" } else { "" };
            let active = license.devices.len();
            let most = license.devices_per_seat.map(|most| format!(" of {most}")).unwrap_or_default();
            let open = match license.sessions.len() {
                0 => String::new(),
                open => format!(", in use: {open}"),
            };
            format!("you have a seat{rests}{resting}, active on {active}{most} devices{open}")
        }
    }
}

fn name(on: &MyDevice) -> &str {
    on.device.name.as_ref().or(on.device.hostname.as_ref()).unwrap_or(&on.device.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_license_has_a_line_and_each_device_one_beneath() {
        let mine = serde_json::json!({"has_more": true, "licenses": [
            {"license": "design/cad", "product": "cad", "state": "active", "place": "seat", "devices_per_seat": 2,
                "devices": [{"activation": "5f0c", "device": {"id": "9f86", "name": "Lab 3"}, "since": "s", "heard_at": "h"}],
                "sessions": [{"device": {"id": "9f86"}, "since": "s"}]},
            {"license": "design/cam", "state": "suspended", "place": "waiting", "position": 1, "devices": [], "sessions": []},
            {"license": "design/old", "state": "active", "place": "holder-changed", "devices": [], "sessions": []},
            {"license": "design/res", "state": "active", "place": "rests", "devices": [], "sessions": []},
        ]});
        assert_eq!(
            told(&serde_json::from_value(mine).unwrap()),
            "design/cad (cad): you have a seat, active on 1 of 2 devices, in use: 1\n  \
             Lab 3, heard of at h (activation 5f0c)\n\
             design/cam: you wait for a seat, at place 1, and the license is suspended\n\
             design/old: the seat is somebody's who had your address before you\n\
             design/res: you have a seat, which rests, active on 0 devices\n\
             There is more than is told here.\n"
        );
    }
}
