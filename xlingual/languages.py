"""Language tags and script detection without a model, including simplified/traditional Chinese.

Simplified and traditional Chinese share most characters; a few hundred frequent ones exist in only
one of the two. Counting those decides; a text that contains none of them is left undecided
(``"Hani"``) rather than guessed.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from xlingual.errors import ConfigError

__all__ = ["HAN", "HAN_CHARACTER", "detect_language", "detect_script", "normalize_language_tag"]

# Aligned: the n-th character of a _SIMPLIFIED line corresponds to the n-th of _TRADITIONAL.
# Characters that are correct in both (后, 里, 只, 台, 面, 著, 乾, ...) are left out.
_SIMPLIFIED = (
    "们这个为来时会说国过对还没学样经动现问开长见两无实点头发间关从进电让给话门车东书买卖钱爱岁带边"
    "觉听写认识请谢难错应该战场业产务员网线级组结统织绝继续绿红纸约终细练语读课谁调论证评试诗详设访许"
    "讨记讲议计订训词译诉误谈资质贵费货购贸贡财责败贝负贫赛赶跃轮软转轻较载输辆辑农运达迁远违连迟适"
    "选递逻邮乡医释铁银锁钢针镜闭闹闻阅阳阴际陆陈险随隐虽双离鸡鸟麦黄齐龙龟齿顶项顺预领题颜额风飞饭"
    "饮馆马驾验骑惊鱼鲜体杀机权条极构标树桥检楼欢欧残气汉汤沟泪洁浅测济浓涨温湿满灯灵灾炉烦烧热状独"
    "狱猫献环玛画畅疗疯监盘码础确礼祸种积称稳穷窃竞笔简类粮紧纪纯纳纷纽绍绩维综编缘缩罗罚习职联聪肃"
    "肠肤脑脚脸胜舰艺节苏荣药莱营蓝虑虚虫补装观规视览触誉讯贺办协单卫厂厅压厌县参变号叶吗吓响团园围"
    "图圆圣坏块坚坛垫备够夹夺奋奖妇妈娱孙宁宝审宪宽宾寻导将尔尝层属岛币师帅帮广庆库庙废异弃张弹归录"
    "忆态怀怜总恋恶恼悬惯愿懒扩扫扬执抚抢护报担拥择挂挥换据损摆摇撑敌数断旧显晓晕术杂亚亲仅仓价优伟"
    "传伤伦伪侧侦侨债倾偿储儿兰兴养兽内军冯冻净凉减凤凭刘则刚创别剧剑劝励劳势区华卢吴呜乐乌乔乱争亏"
    "义与万专丝丢严丧丰临丽举么强众启获钟历复脏签须当尽汇坝滩滤滚潇澜犹狮猎琐瘾盐睁矿砖"
)
_TRADITIONAL = (
    "們這個為來時會說國過對還沒學樣經動現問開長見兩無實點頭發間關從進電讓給話門車東書買賣錢愛歲帶邊"
    "覺聽寫認識請謝難錯應該戰場業產務員網線級組結統織絕繼續綠紅紙約終細練語讀課誰調論證評試詩詳設訪許"
    "討記講議計訂訓詞譯訴誤談資質貴費貨購貿貢財責敗貝負貧賽趕躍輪軟轉輕較載輸輛輯農運達遷遠違連遲適"
    "選遞邏郵鄉醫釋鐵銀鎖鋼針鏡閉鬧聞閱陽陰際陸陳險隨隱雖雙離雞鳥麥黃齊龍龜齒頂項順預領題顏額風飛飯"
    "飲館馬駕驗騎驚魚鮮體殺機權條極構標樹橋檢樓歡歐殘氣漢湯溝淚潔淺測濟濃漲溫濕滿燈靈災爐煩燒熱狀獨"
    "獄貓獻環瑪畫暢療瘋監盤碼礎確禮禍種積稱穩窮竊競筆簡類糧緊紀純納紛紐紹績維綜編緣縮羅罰習職聯聰肅"
    "腸膚腦腳臉勝艦藝節蘇榮藥萊營藍慮虛蟲補裝觀規視覽觸譽訊賀辦協單衛廠廳壓厭縣參變號葉嗎嚇響團園圍"
    "圖圓聖壞塊堅壇墊備夠夾奪奮獎婦媽娛孫寧寶審憲寬賓尋導將爾嘗層屬島幣師帥幫廣慶庫廟廢異棄張彈歸錄"
    "憶態懷憐總戀惡惱懸慣願懶擴掃揚執撫搶護報擔擁擇掛揮換據損擺搖撐敵數斷舊顯曉暈術雜亞親僅倉價優偉"
    "傳傷倫偽側偵僑債傾償儲兒蘭興養獸內軍馮凍淨涼減鳳憑劉則剛創別劇劍勸勵勞勢區華盧吳嗚樂烏喬亂爭虧"
    "義與萬專絲丟嚴喪豐臨麗舉麼強"
    # Several traditional characters for one simplified one; spellings of Taiwan and Hong Kong.
    "眾衆啟啓獲穫鐘鍾歷曆複復臟髒簽籤須鬚當噹盡儘匯彙後裡裏鬆髮臺颱隻週遊於製範衝餘幾麵誌閒傢"
)

HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""The Chinese characters, for use inside the brackets of a regular expression."""

HAN_CHARACTER = re.compile(f"[{HAN}]")
_LATIN = r"A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a"
# A Chinese character, a kana or a Hangul syllable is one unit; so is a whole word of an alphabet.
# Otherwise one English brand name would outweigh the Chinese sentence around it.
_UNITS = {
    "Hani": HAN_CHARACTER,
    "Latn": re.compile(f"[{_LATIN}][{_LATIN}'\u2019\u0300-\u036f-]*"),
    "Jpan": re.compile(r"[\u3041-\u3096\u30a1-\u30fa\uff66-\uff9d]"),
    "Kore": re.compile(r"[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]"),
    "Cyrl": re.compile(r"[\u0400-\u052f]+"),
    "Grek": re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]+"),
    "Arab": re.compile(r"[\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufefc]+"),
    "Hebr": re.compile(r"[\u0590-\u05ff]+"),
    "Deva": re.compile(r"[\u0900-\u097f]+"),
    "Thai": re.compile(r"[\u0e00-\u0e7f]+"),
}
# Kana that Chinese writers use for decoration (优の良品) and in faces (ヾ(≧▽≦)ノ).
_DECORATION = frozenset("のノツシっ")
_MIN_KANA_SHARE = 0.15
_ONLY_SIMPLIFIED = re.compile(f"[{''.join(sorted(set(_SIMPLIFIED) - set(_TRADITIONAL)))}]")
_ONLY_TRADITIONAL = re.compile(f"[{''.join(sorted(set(_TRADITIONAL) - set(_SIMPLIFIED)))}]")

_CHINESE_SCRIPTS = frozenset(("Hans", "Hant", "Hani"))

_ALIASES = {
    "zh": "zh zho chi cmn chinese mandarin putonghua simplified_chinese traditional_chinese "
    "chinese_simplified chinese_traditional 中文 汉语 漢語 华语 華語 国语 國語 普通话 普通話 "
    "简体中文 繁体中文 簡體中文 繁體中文 简体 繁体 簡體 繁體",
    "en": "en eng english 英文 英语 英語",
}
_TAG_OF_ALIAS = {alias: tag for tag, aliases in _ALIASES.items() for alias in aliases.split()}


def detect_script(text: str) -> str:
    """Detect the script that most of a text is written in, as an ISO 15924 code.

    Args:
        text: Any text. Digits, punctuation, emoji and spaces do not count.

    Returns:
        ``"Latn"``; ``"Hans"`` or ``"Hant"`` for simplified or traditional Chinese; ``"Hani"`` for
        Chinese characters that fit both; ``"Jpan"`` and ``"Kore"`` for Japanese and Korean,
        ``"Cyrl"``, ``"Arab"`` and a few more; ``"Zyyy"`` if no known script occurs. On a tie,
        Chinese wins. Japanese without any kana (``東京大学``) looks the same as Chinese.

    Example:
        >>> detect_script("这家酒店的早餐不错"), detect_script("這家飯店的早餐不錯")
        ('Hans', 'Hant')
    """
    if text.isascii():
        return "Latn" if _UNITS["Latn"].search(text) else "Zyyy"
    counts = {script: len(units.findall(text)) for script, units in _UNITS.items()}
    kana = [character for character in _UNITS["Jpan"].findall(text) if character not in _DECORATION]
    east_asian = counts["Hani"] + len(kana)
    if kana and len(kana) >= _MIN_KANA_SHARE * east_asian:
        counts["Jpan"], counts["Hani"] = east_asian, 0
    else:
        counts["Jpan"] = 0
    script = max(counts, key=lambda name: counts[name])  # on a tie the first wins: Han
    if not counts[script]:
        return "Zyyy"
    return _chinese_script(text) if script == "Hani" else script


def detect_language(texts: Iterable[str]) -> str:
    """Detect the language of a data set by its scripts: ``"en"``, ``"zh"`` or ``"und"``.

    Latin script counts as English: this separates the two languages of a run and finds swapped
    files, but does not tell English from French.

    Args:
        texts: The texts of the set; those without letters (numbers, emoji) are ignored.

    Returns:
        The language of more than half of the texts, or ``"und"`` (undetermined).
    """
    if isinstance(texts, str):
        texts = [texts]
    votes = Counter(map(detect_script, texts))
    del votes["Zyyy"]
    chinese = sum(votes[script] for script in _CHINESE_SCRIPTS)
    if 2 * chinese > votes.total():
        return "zh"
    return "en" if 2 * votes["Latn"] > votes.total() else "und"


def normalize_language_tag(tag: str) -> str:
    """Normalise a language tag, code or name to its primary language subtag.

    Args:
        tag: A tag (``"zh_CN.UTF-8"``, ``"en-GB"``), an ISO 639 code (``"zho"``) or a name
            (``"Chinese"``, ``"中文"``, ``"ENGLISH"``).

    Returns:
        ``"zh"`` or ``"en"``; for other well-formed tags their own first part, lower-cased.

    Raises:
        ConfigError: It is neither a known name nor shaped like a language tag.
    """
    folded = unicodedata.normalize("NFKC", tag).casefold().strip()
    name = re.sub(r"[\s()-]+", "_", folded).strip("_")
    primary = re.split(r"[-_.@]", folded, maxsplit=1)[0]
    known = _TAG_OF_ALIAS.get(name) or _TAG_OF_ALIAS.get(primary)
    if known:
        return known
    if re.fullmatch(r"[a-z]{2,3}([-_.@][\w.@-]*)?", folded, flags=re.ASCII):
        return primary
    near = difflib.get_close_matches(name, _TAG_OF_ALIAS, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ConfigError(
        f"expected a language tag or name such as 'zh', 'zh-Hant', 'en' or 'Chinese'; "
        f"got {tag!r}{hint}"
    )


def _chinese_script(text: str) -> str:
    simplified = len(_ONLY_SIMPLIFIED.findall(text))
    traditional = len(_ONLY_TRADITIONAL.findall(text))
    if simplified == traditional:
        return "Hani"
    return "Hans" if simplified > traditional else "Hant"
