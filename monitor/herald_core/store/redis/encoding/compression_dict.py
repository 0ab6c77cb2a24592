"""A Zstandard dictionary for the compression of records.

It is trained on records of tasks with random texts, so that it holds their structure
and no installation's data. Records that were stored with it need it for decoding, so it
never changes. Another dictionary gets another flag in `record_codec.py`.
"""

import base64

COMPRESSION_DICT = base64.b85decode(
    "H>5D^L3sy3ND!DaR0qJoz<|RON)ad(Lg((z937tGL!H8y>O6sel|ZY0(Y9@?{<iln4<roBx8r)e0"
    "##plT4+j2N=gwlT%`*b7=Wve9a9GY000ieqXXdr00e-"
    "8gODE!o0O9VB(ymWV<~_EAdCSR2tWV;O%nhB06+i$03@iA!iGRt3<L?n03aX?7?4Dn7?*$m00001"
    "00004000080000}R5nm9aCssuAZ%%FWgs;&EFfuaAb5Ikk)Nb<Wo~q`XJu|UGBY_bKt?xrOJOipW"
    "jD=TBhCOXRB+2d+-$L@o86qHWp-"
    "t5bO6G@z`(%3zyOekq;6qtWs(8BG&V#wGgxp}E=g>3IYdV=Hce|mOF2tpWpZ;lq+xPrbCLm~TV1A"
    "WcVTj8bCLnEdna*GX+t(NdM7#{IWaReeW!A7Z**U2WRd~dBsVlLI5T84Wi2^5HeoF^I503RVKO*j"
    "Eiy4UVPrTmH#aq5W2taqa%FCGUuk5L0of#BGBh(ZIAdWgVly&iEi__eI4w9~Ffc7LHe@zsG%zwZG"
    "h{HOadl;NWs(7>WMyVyb!>F2a&L8XX>Mm<Yh`(o0jFeTW?^+~bikF_Br{<!WH>ZAGA&{-"
    "HDWC^G+|~fIc8xoEjVI1VKy>hH#at8IFg^Ja%E#>X?A5~tYc+tWpa5ybaP2>G|ja;&HytgB+EhEw"
    "ONX>6KADmc4cmK0K&k)z`(%30H36DWo~q`XJu|UFgY?gKyGYKFlSOSK{(BLxXu7GC?m^3+_hPXtE"
    "4uiWp-"
    "t5bO6G@z`(%3zyOejq;6qtWs(88Ngz3OGA?9AV^}dnX>u`EZB2PHXi#lPWu#$pXLFJPq9`e*Yj<I"
    "CXLFJPqI-R(a&K>RUuk5L0of!oVK8JkG&wRYVlXvgEi^P?W-"
    "U2pVKFT@VmV<pGGRA2He)!Yadl;NWs(7=V`Xe*a(SzAZ*_EOZf9R>WqFbTrekGnWpa7ImDwaWW@b"
    "1!Vq-QfWidD~Ei`30GA&^>Hf1ejH8nP7WHx4IVmUaIpQv(WV`XV}Wn`{nWo%_~c|b8rFjQ<aXw8H"
    "d&H!<n_sc=sE26v;$2g^Bc4cmK0K&k)z`(%30H3FGbYXIIWn`{nWo%_~c|b8rFjQ<aXw8Hd&H!<n"
    "_{%}tE26v~&9S9rc4cmK|H8n)z`(%30H3C2VQFk-WUganY-MtJKru=%RBSV7&4d@u0CAiB%R$>Kq"
    "P!{S?WJXQWo~r;!oa}5w^V6uWlU*pX>>(+V`XJzWn?HbFfK4D+5A*;VPj=tVPk6`C~a?ZbRcqNV`"
    "Xl1AY)-"
    "{Y#?l5b95;>3LqdxX>4U6A}@7waxZLYVlQxcbZBpGGcR*#bY(4YVPk7yXJvCQV`Xe*a(ORdaBwel"
    "a$#d-E^v7wEFf%YZe<`dF*Yn9X>K5Na$#d-"
    "Uvyz}YYHGBARtm8Js@&rbar8EAUz;vb#5psVRC14EFdZ>Yj<ICXLBhEARr(hARr(hARr(hARr(hA"
    "YNWxUS3{aUS3{aUS3{aUS3{aUJ4)}MrmwiAR;eeaBwe4YD-"
    "HXRxWUPA}k<mX>Mg8HaILGX>K5INHudaa|$3JARuyKX>(;DSPH-Zkc6aeVQpoS0J$JlXJdJIE?7x"
    "+QZi;`c1LbyHfLmNIWl^rVRC14k^rJxU8ZYyVRC14k^r%LCpmXRF>Ot1CpsWAH#stWr*dy^bYE#?"
    "k^tExH)duyIbvfrEoCt{FfBA?IWjF_H8y1}WHmK5W@I*IW@0%wz?In~Wj8P~VPrXGEjMFgW-"
    "T;1W;881V>e_iW@ct#HaTWCI5{*ml%J?_Wn*P&c4cI(V`Xe*a(O^=HA_xqQO%OZ&Hx8=l*>Wf1cK"
    "2XI7+2uc4cmK0K&k)z`(%30iUOHbYXIIWn`^mWo%_~c|dbDOHO4`&638>00(rI%R$@(g3%^&45ej"
    "uWo~r;!oa}5z`(!&pQ&?oV`F7yWMyQnV`Xe*a(O^=HA_xq"
)
