//! A plan that follows another.

use super::*;

#[test]
fn the_next_plan_says_the_same_as_one_made_from_nothing_and_uses_the_sets_that_are_there() {
    let networks: Vec<_> = (1..60).map(|n| format!("198.51.100.{}/32", 2 * n)).collect();
    let long = format!(r#""block_ips": ["{}"]"#, networks.join("\", \""));
    let first = Plan::new(&parse(&format!("{{ {long} }}")), &host(), OPTIONS, NOW);
    let rules = parse(&format!(r#"{{ {long}, "block_ports": ["81/tcp"] }}"#));
    let options = Options { generation: OPTIONS.generation + 1, ..OPTIONS };
    let (next, anew) = (first.next(&rules, &host(), options, NOW), Plan::new(&rules, &host(), options, NOW));
    let names = |plan: &Plan| plan.sets().iter().map(|set| set.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&next), names(&first));
    assert!(next.set_text_of(|set| !first.has_set(&set.name)).is_empty());
    let of_anew = anew.to_string().replace(&names(&anew)[0], &names(&next)[0]);
    assert_eq!(next.to_string(), of_anew);
}

#[test]
fn tables_that_differ_in_marks_alone_are_alike_and_others_are_not() {
    let options = |generation| Options { generation, ..OPTIONS };
    let plan = |text: &str, generation| Plan::new(&parse(text), &host(), options(generation), NOW);
    let first = plan(r#"{ "block_ips": ["192.0.2.1"], "block_ports": ["81/tcp"] }"#, 1);
    let next = plan(r#"{ "block_ips": ["192.0.2.1", "192.0.2.2"], "block_ports": ["81/tcp"] }"#, 2);
    let alike = |family| next.is_alike(&first, family, TableName::Filter);
    assert_eq!((alike(Family::V4), alike(Family::V6)), (false, true));
    assert!(plan(r#"{ "block_ips": ["192.0.2.1"], "block_ports": ["81/tcp"] }"#, 9).is_alike(
        &first,
        Family::V4,
        TableName::Filter
    ));
}
