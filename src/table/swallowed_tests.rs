//! Tests of how rows inside quoted cells are found, from the text of a table.

use std::io::Cursor;

use crate::table::detect::layout::SourceOptions;
use crate::table::source::{Source, SourceError};

/// The lines of the error, if there is one.
fn swallowed(text: &str, options: &SourceOptions) -> Option<(u64, u64)> {
    let reader = Box::new(Cursor::new(text.as_bytes().to_vec()));
    let mut source = match Source::open(reader, options, &|cell| cell.starts_with("138")) {
        Ok(source) => source,
        Err(SourceError::SwallowedRows { first, last, .. }) => return Some((first, last)),
        Err(error) => panic!("{error}"),
    };
    loop {
        match source.next_batch(1) {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(SourceError::SwallowedRows { first, last, .. }) => return Some((first, last)),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn rows_between_two_stray_quotes_are_found() {
    let header = "姓名,手机号,备注\n甲,13800000021,ok\n";
    for (rows, lines) in [
        ("乙,13800000022,\"x\n丙,13800000023,ok\n丁,13800000024,\"y\n", (3, 5)),
        ("乙,13800000022,\"x\n丙,13800000023,\"y\n戊,13800000025,ok\n", (3, 4)),
        ("乙,13800000022,\"x\n丙,13800000023,y\"\n", (3, 4)),
        ("\"乙,13800000022,x\r\n\"丙,13800000023,ok\r\n", (3, 4)),
        ("\"乙,13800000022,x\n丙,n/a,ok\n丁\",13800000024,y\n", (3, 5)),
        ("乙,\"13800000022,x\n丙,\"13800000023,ok\n", (3, 4)),
        ("乙,13800000022,\"x\n丙,1.38E+10,\n丁,1380013,,\n\"戊,,\n", (3, 6)),
        ("乙,13800000022, \"x\n丙,13800000023,\"y\n", (3, 4)),
        // Rows without their last cells.
        ("乙,13800000022,\"x\n丙,13800000023\"\n", (3, 4)),
        ("乙,13800000022,\"x\n丙,13800000023\n丁,13800000024\",\n", (3, 5)),
    ] {
        let text = format!("{header}{rows}");
        assert_eq!(swallowed(&text, &SourceOptions::default()), Some(lines), "{rows}");
        let flexible = SourceOptions { flexible: true, ..SourceOptions::default() };
        assert_eq!(swallowed(&text, &flexible), None, "{rows}");
    }
    // The header, or a person without a number, swallows a row.
    let text = "姓名,手机号,备注\n甲,无,\"x\n乙,13800000022,\"y\n丙,13800000023,\n";
    assert_eq!(swallowed(text, &SourceOptions::default()), Some((2, 3)));
    let text = "姓名,手机号,\"备注\n甲,13800000021,\"\n乙,13800000022,x\n";
    assert_eq!(swallowed(text, &SourceOptions::default()), Some((1, 2)));
    // A closing quote is missing, in a cell that needs its quotes.
    for (text, lines) in [
        (
            "姓名,手机号,备注\n张三,13800138000,\"喜欢茶, 咖啡\n李四,13900139000,\n\
             王五,13700137000,\"备注\"\n赵六,13600136000,\n",
            (2, 4),
        ),
        (
            "姓名,手机号,备注\n张三,13800138000,\"喜欢茶, 咖啡\n李四,13900139000,\"备注\"\n\
             赵六,13800136000,\n",
            (2, 3),
        ),
        (
            "id,mobile,note\n1,13800138000,\"see a,b\n2,13900139000,x\n3,13700137000,\"ok\"\n\
             4,13600136000,\n",
            (2, 4),
        ),
        (
            "姓名,部门,手机号\n\"张三, 李,研发,13800138000\n李四,研发,13900139000\n\
             \"王五\",人事,13700137000\n赵六,人事,13800136000\n",
            (2, 4),
        ),
        (
            "姓名,部门,手机号\n\"张三, 李,研发,13800138000\n\"王五\",人事,13700137000\n\
             赵六,人事,13800136000\n",
            (2, 3),
        ),
    ] {
        assert_eq!(swallowed(text, &SourceOptions::default()), Some(lines), "{text}");
    }
}

#[test]
fn rows_without_a_number_between_two_stray_quotes_are_found() {
    for (text, lines) in [
        ("姓名,手机号,备注\n甲,13800000021,\"x\n乙,,ok\n丙,,\"\n丁,13800000022,\n", (2, 4)),
        ("姓名,手机号,备注\n甲,13800000021,\"x\n乙,无,ok\n丙,,\"y\n丁,13800000022,\n", (2, 4)),
        ("姓名,手机号,备注\n甲,13800000021,\"x\n乙,,\"\n丁,13800000022,\n", (2, 3)),
        ("姓名,手机号,备注\n甲,,\"\n乙,,ok\n丙,,\"y\n丁,13800000022,\n", (2, 4)),
        ("姓名,部门,手机号\n\"甲,研发,\n乙,研发,\n丙,研发\",\n丁,研发,13800000022\n", (2, 4)),
        ("姓名,部门,手机号\n甲,\"研发,\n乙,研发,\n丙,\"研发,13800000022\n", (2, 4)),
        ("姓名,手机号\n\"甲,\n乙,\n\"丙,13800000022\n", (2, 4)),
    ] {
        assert_eq!(swallowed(text, &SourceOptions::default()), Some(lines), "{text}");
        let flexible = SourceOptions { flexible: true, ..SourceOptions::default() };
        assert_eq!(swallowed(text, &flexible), None, "{text}");
    }
}

#[test]
fn rows_of_a_table_with_one_column_are_found() {
    for (text, lines) in [
        ("手机号\n\"13800000021\n13800000022\n\"13800000023\n", (2, 4)),
        ("手机号\n\"13800000021\n13800000022\"\"\n13800000023\"\n", (2, 4)),
    ] {
        assert_eq!(swallowed(text, &SourceOptions::default()), Some(lines), "{text}");
    }
    for text in [
        "手机号\n\"13800000021\n13800000022\"\n13800000023\n",
        "13800000020\n\"13800000021\n\n+86 138 0000 0022\n\"\n",
        "手机号\n\"13800000021\n（工作）\"\n13800000023\n",
        "手机号\n\"张三\n13800000021\"\n13800000023\n",
        "\"手机号\n（如13800138000）\"\n13800000023\n",
    ] {
        assert_eq!(swallowed(text, &SourceOptions::default()), None, "{text}");
    }
}

#[test]
fn cells_with_several_lines_are_no_rows() {
    for text in [
        "姓名,手机号,地址\n甲,13800000021,\"上海\n浦东, 13800000022\n2 号\"\n",
        "姓名,手机号,地址\n\"甲\n乙\",\"13800000021\n13800000022\",\"x\ny\"\n",
        // A text has spaces after commas, and its first line may have commas too.
        "姓名,手机号,地址\n甲,13800000021,\"李四, 13800000022\n王五, 13800000023\n\"\n",
        "姓名,手机号,亲属\n甲,13800000021,\"李四,13800000022\n王五,13800000023\n丁,13800000024\"\n",
        "姓名,手机号,记录\n甲,13800000021,\"2024-01-01,13800000022,旧\n2024-05-01,13800000023,旧\n\
         2024-06-01,13800000024,旧\"\n",
        "手机号,记录\n13800000021,\"入职\n2024-01-01,转正\n2024-05-01,离职\"\n",
        "手机号,备注\n13800000021,\"第一行\n13800000022\n\"\n",
        "姓名,手机号\n甲,\"13800000021\n13800000022\"\n",
        "姓名,手机号,记录\n甲,13800000021,\"记录\n2024-01-01,入职,研发\n2024-05-01,离职,研发\"\n",
        "姓名,手机号,记录\n甲,13800000021,\"记录\n入职,,研发\n电话 13800000022, 找李四\"\n",
        "姓名,手机号,地址\n甲,,\"上海市,\n浦东新区,\n世纪大道 1 号\"\n乙,13800000021,\n",
        "姓名,地址,手机号\n甲,\"Weg 1,\n2,Bonn\",13800000021\n",
        "地址,手机号\n\"Main Street 5,\nBerlin,\nGermany\",\n\"Weg 1,\nBonn\",13800000021\n",
        "\"姓名\n(全名)\",\"手机号\n(11 位)\"\n甲,13800000021\n",
        "姓名,\"手机号（如13800138000）\n必填\"\n甲,13800000021\n",
    ] {
        assert_eq!(swallowed(text, &SourceOptions::default()), None, "{text}");
    }
}
